// Structured logs by pino. What is logged is named field by field by the caller: never bodies, salts, keys or prompts.

import { type DestinationStream, type Logger as Pino, pino, stdSerializers } from 'pino'
import { LogStream } from './log-stream.ts'

export type Logger = Pick<Pino, 'debug' | 'info' | 'warn' | 'error'>

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

export const logFormats = ['json', 'text'] as const
export type LogFormat = (typeof logFormats)[number]

/** Fields that no log line may hold, at its top or one level below: deeper is not looked, so nothing else that is nested is logged. */
const secretFields: ReadonlySet<string> = new Set([
  'authorization',
  'x-api-key',
  'cache_salt',
  'salt',
  'apiKey',
  'secret',
  'body',
  'prompt',
  'messages',
])

export const STANDARD_ERROR = 2

/** One JSON object a line, on standard error. An error is logged with code, message and causes' messages, without its properties. */
export function createLogger(level: LogLevel, to: DestinationStream = new LogStream(STANDARD_ERROR)): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: timeField(),
      // pino's own redaction copies each line's object, which cost a request more than all else of its line.
      formatters: { log: withoutSecrets, level: (level) => ({ level }) },
      serializers: { err: describeError },
    },
    to,
  )
}

/** Writes the time of a line; the whole date is made anew once a second. */
function timeField(): () => string {
  let second = Number.NaN
  let upToSecond = ''
  return () => {
    const now = Date.now()
    const milliseconds = now % 1000
    if (now - milliseconds !== second) {
      second = now - milliseconds
      upToSecond = new Date(second).toISOString().slice(0, -'000Z'.length)
    }
    return `,"time":"${upToSecond}${String(milliseconds).padStart(3, '0')}Z"`
  }
}

/** Copies only what holds a secret, at the top or one level below. */
function withoutSecrets(line: Record<string, unknown>): Record<string, unknown> {
  let clean = line
  for (const field in line) {
    const value = line[field]
    const kept = isPlainObject(value) ? withoutFields(value) : value
    if (kept !== value) clean = { ...clean, [field]: kept }
  }
  return withoutFields(clean)
}

function withoutFields(object: Record<string, unknown>): Record<string, unknown> {
  for (const field in object) {
    if (secretFields.has(field))
      return Object.fromEntries(Object.entries(object).filter(([key]) => !secretFields.has(key)))
  }
  return object
}

/** An error is described by its serializer, which takes nothing of its properties. */
function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Error)
}

function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: 'not an Error' }
  const code = 'code' in error ? error.code : undefined
  const { message, stack } = stdSerializers.err(error)
  const cause = error.cause instanceof Error ? describeError(error.cause) : undefined
  return { code, message, cause, stack: code === 'INTERNAL' || code === undefined ? stack : undefined }
}

/** For tests and for callers that want silence. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} }
