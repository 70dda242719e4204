// The options of `npm run ask`.
import { parseArgs } from 'node:util'

const defaults = { windows: '1,10,100', tokens: '100000', loads: 'inf,53000,9500', prefill: '10000', parallel: '4' }

/** The options, or what is wrong with each of them. */
export function readOptions(args) {
  const errors = []
  const number = (name, text, most) => {
    const value = text === 'inf' ? Number.POSITIVE_INFINITY : Number(text)
    if (value >= 1 && value <= most) return value
    errors.push(`--${name} ${text}: must be a number from 1 to ${most}`)
  }
  const numbers = (name, text, most) => text.split(',').map((one) => number(name, one, most))
  const given = parse(args, errors)
  const options = {
    windows: numbers('windows', given.windows, 1_000),
    tokens: number('tokens', given.tokens, 1_000_000),
    loads: numbers('loads', given.loads, Number.POSITIVE_INFINITY),
    prefill: number('prefill', given.prefill, Number.POSITIVE_INFINITY),
    parallel: number('parallel', given.parallel, 64),
  }
  return errors.length > 0 ? { errors } : { options }
}

function parse(args, errors) {
  const types = Object.fromEntries(Object.keys(defaults).map((name) => [name, { type: 'string' }]))
  try {
    return { ...defaults, ...parseArgs({ args, options: types }).values }
  } catch (error) {
    errors.push(error.message)
    return defaults
  }
}
