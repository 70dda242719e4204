// Parses the options of `npm run attack:shares`.

import { parseArgs } from 'node:util'
import { attacks } from './attacks.mjs'

const QUICK_SECONDS = 2
const MAX_SECONDS = 3_600

/** Returns `{ options }`, or `{ errors }` with a line for each invalid one. */
export function readOptions(args) {
  let values
  try {
    const flag = { type: 'boolean', default: false }
    const words = { seconds: { type: 'string' }, quick: flag, attack: { type: 'string' }, 'no-pin': flag }
    values = parseArgs({ args, options: words }).values
  } catch (error) {
    return { errors: [error.message] }
  }
  const seconds = Number(values.seconds ?? (values.quick ? QUICK_SECONDS : 20))
  const errors = []
  if (!(Number.isInteger(seconds) && seconds >= 1 && seconds <= MAX_SECONDS))
    errors.push(`--seconds: a whole number from 1 to ${MAX_SECONDS}`)
  const names = attacks.map(({ name }) => name)
  if (values.attack !== undefined && !names.includes(values.attack)) errors.push(`--attack: one of ${names.join(', ')}`)

  return errors.length > 0 ? { errors } : { options: { seconds, attack: values.attack, isPinned: !values['no-pin'] } }
}
