// Formats a log line for people: time, level, message, and fields as key=value.

import { isObject } from './json.ts'

/** Escape sequences of the terminal, by level. */
const colors: Readonly<Record<string, number>> = { debug: 90, warn: 33, error: 31 }
const DIM = 2
/** These could move the cursor, change colors, or reverse the following text. Field values come from clients and the engine. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu
/** Values that need no quotes. */
const WORD = /^[^\s"=\\]+$/u

/**
 * Formats one of the logger's JSON lines as one line of text; an error's stack follows on indented lines. A line that is not a JSON
 * object is returned unchanged.
 *
 * @param isColored Whether to add terminal colors.
 */
export function textLine(line: string, isColored: boolean): string {
  const entry = entryOf(line)
  if (entry === undefined) return line
  const { time, level, msg, err, ...fields } = entry
  const name = String(level)
  const paint = (text: string, code: number | undefined) =>
    isColored && code !== undefined ? `\x1b[${code}m${text}\x1b[0m` : text
  const words = Object.entries({ ...fields, ...errorFields(err) }).map(([key, value]) => ` ${key}=${valueText(value)}`)
  const stack = isObject(err) && typeof err.stack === 'string' ? stackText(err.stack) : ''
  const head = `${paint(String(time), DIM)} ${paint(name.toUpperCase().padEnd(5), colors[name])} ${clean(String(msg))}`
  return `${head}${paint(words.join(''), DIM)}${stack}\n`
}

function entryOf(line: string): Record<string, unknown> | undefined {
  try {
    const entry: unknown = JSON.parse(line)
    return isObject(entry) ? entry : undefined
  } catch {
    return undefined
  }
}

/** Joins the messages of the error and its causes. */
function errorFields(error: unknown): Record<string, unknown> {
  if (!isObject(error)) return {}
  const messages: unknown[] = []
  for (let at: unknown = error; isObject(at); at = at.cause) messages.push(at.message)
  return { ...(error.code === undefined ? {} : { code: error.code }), err: messages.join(': ') }
}

function valueText(value: unknown): string {
  if (typeof value === 'string' && WORD.test(value) && value.search(UNPRINTABLE) < 0) return value
  return clean(JSON.stringify(value))
}

function stackText(stack: string): string {
  const frames = stack.split('\n').filter((line) => line.startsWith('    at '))
  return frames.map((frame) => `\n  ${clean(frame)}`).join('')
}

function clean(text: string): string {
  return text.replaceAll(UNPRINTABLE, (one) => `\\u${(one.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`)
}
