// Parses the options of `npm run fleet`.

import { parseArgs } from 'node:util'

const WHOLE = {
  sessions: { most: 100_000, least: 1, standard: 2_000 },
  engines: { most: 16, least: 3, standard: 4 },
  proxies: { most: 8, least: 2, standard: 3 },
  seed: { most: 2 ** 31, least: 0, standard: 1 },
}

/** Returns `{ options }`, or `{ errors }` with a line for each invalid one. */
export function readOptions(args) {
  let values
  try {
    const text = Object.keys(WHOLE).map((name) => [name, { type: 'string' }])
    values = parseArgs({
      args,
      options: { ...Object.fromEntries(text), keep: { type: 'boolean', default: false } },
    }).values
  } catch (error) {
    return { errors: [error.message] }
  }
  const errors = []
  const options = { keep: values.keep }
  for (const [name, { least, most, standard }] of Object.entries(WHOLE)) {
    options[name] = Number(values[name] ?? standard)
    const good = Number.isInteger(options[name]) && options[name] >= least && options[name] <= most
    if (!good) errors.push(`--${name}: a whole number from ${least} to ${most}`)
  }
  return errors.length > 0 ? { errors } : { options }
}
