// Parses the options of `npm run attack`.

import { parseArgs } from 'node:util'
import { modes } from './stack.mjs'

const whole = (least, most) => (text) => {
  const value = Number(text)
  return Number.isInteger(value) && value >= least && value <= most ? value : undefined
}

const share = (text) => {
  const value = Number(text)
  return value >= 0 && value <= 1 ? value : undefined
}

const numbers = {
  requests: ['2000', whole(1, 10_000_000), 'a whole number, 1 or more'],
  seconds: ['600', whole(1, 86_400), 'a whole number of seconds, 1 or more'],
  seed: ['1', whole(0, 2 ** 31), 'a whole number'],
  lanes: ['48', whole(1, 400), 'a whole number from 1 to 400'],
  large: ['0.02', share, 'a number from 0 to 1'],
  huge: ['0.001', share, 'a number from 0 to 1'],
}

/** Returns `{ options }`, or `{ errors }` with a line for each invalid one. */
export function readOptions(args) {
  let values
  try {
    const words = Object.fromEntries(
      Object.entries(numbers).map(([name, [value]]) => [name, { type: 'string', default: value }]),
    )
    const more = { mode: { type: 'string' }, repeat: { type: 'string' }, 'no-pin': { type: 'boolean', default: false } }
    values = parseArgs({ args, options: { ...words, ...more } }).values
  } catch (error) {
    return { errors: [error.message] }
  }
  const errors = []
  const options = { isPinned: !values['no-pin'], modes: values.mode === undefined ? Object.keys(modes) : [values.mode] }
  for (const [name, [, read, rule]] of Object.entries(numbers)) {
    options[name] = read(values[name])
    if (options[name] === undefined) errors.push(`--${name}: ${rule}`)
  }
  if (values.mode !== undefined && !Object.hasOwn(modes, values.mode))
    errors.push(`--mode: one of ${Object.keys(modes).join(', ')}`)
  if (values.repeat !== undefined) {
    options.repeat = whole(0, 2 ** 31)(values.repeat)
    if (options.repeat === undefined) errors.push('--repeat: the number of an attack')
  }
  return errors.length > 0 ? { errors } : { options }
}
