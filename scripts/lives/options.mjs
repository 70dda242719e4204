// Parses the options of `npm run lives`.

import { parseArgs } from 'node:util'

const words = {
  steps: { type: 'string', default: '10000' },
  seed: { type: 'string', default: '1' },
  engine: { type: 'string' },
  coordinator: { type: 'string' },
  store: { type: 'string' },
  life: { type: 'string' },
  'no-shrink': { type: 'boolean', default: false },
}

const whole = (text, least) => (/^\d+$/.test(text) && Number(text) >= least ? Number(text) : undefined)

/** Returns `{ options }`, or `{ errors }` with a line for each invalid one. */
export function readOptions(args) {
  let values
  try {
    values = parseArgs({ args, options: words }).values
  } catch (error) {
    return { errors: [error.message] }
  }
  const { 'no-shrink': isUnshrunk, engine, coordinator, store, life } = values
  const options = { steps: whole(values.steps, 1), seed: whole(values.seed, 0), engine, coordinator, store, life }
  const errors = []
  if (options.steps === undefined) errors.push('--steps: a whole number, 1 or more')
  if (options.seed === undefined) errors.push('--seed: a whole number, 0 or more')
  if (engine !== undefined && !URL.canParse(engine))
    errors.push('--engine: the URL of an engine, such as http://127.0.0.1:8000')
  if (coordinator !== undefined && engine === undefined) errors.push('--coordinator: only with --engine')
  return errors.length > 0 ? { errors } : { options: { ...options, shrinks: !isUnshrunk } }
}
