// Structured logs with pino. Callers list each logged field explicitly: never bodies, salts, keys or prompts.

import { type DestinationStream, type Logger as Pino, pino, stdSerializers } from 'pino'
import { LogStream } from './log-stream.ts'

export interface Logger extends Pick<Pino, 'debug' | 'info' | 'warn' | 'error'> {
  /** Logs a finished request at level `info` with the message `request`. Fields without a value are omitted. */
  request(fields: RequestFields): void
}

/** A logger whose minimum level can change. */
export interface LeveledLogger extends Logger {
  setLevel(level: LogLevel): void
}

/** The logged fields of a request. Times in milliseconds. */
export interface RequestFields {
  readonly request: string
  readonly method: string | undefined
  readonly route: string
  readonly status: number
  readonly ms: number
  readonly tenant: string | undefined
  /** A fingerprint of the API key. */
  readonly key: string | undefined
  readonly model: string | undefined
  readonly session: string | undefined
  readonly code: string | undefined
  readonly ttftMs: number | undefined
  readonly promptTokens: number | undefined
  readonly cachedTokens: number | undefined
}

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

export const logFormats = ['json', 'text'] as const
export type LogFormat = (typeof logFormats)[number]

/** Fields that no log line may contain, at the top or one level below. Deeper levels are not checked, so nothing else nested is logged. */
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

/**
 * One JSON object per line, on standard error. An error is logged with its code, message and the messages of its causes, without its other
 * properties.
 */
export function createLogger(level: LogLevel, to: DestinationStream = new LogStream(STANDARD_ERROR)): LeveledLogger {
  const timestamp = timeField()
  const log = pino(
    {
      level,
      base: null,
      timestamp,
      // pino's own redaction copies the object of each line, which cost more than the rest of the request's line.
      formatters: { log: withoutSecrets, level: (level) => ({ level }) },
      serializers: { err: describeError },
    },
    to,
  )
  // pino's traversal of the fields cost a turn as much as finding its session.
  const request = (fields: RequestFields) => to.write(requestLine(fields, timestamp()))
  const logger = Object.assign(log, {
    request,
    setLevel(next: LogLevel) {
      log.level = next
      logger.request = log.isLevelEnabled('info') ? request : () => {}
    },
  })
  logger.setLevel(level)
  return logger
}

function requestLine(fields: RequestFields, time: string): string {
  let line = `{"level":"info"${time}`
  let name: keyof RequestFields
  for (name in fields) {
    const value = fields[name]
    if (value !== undefined) line += `,"${name}":${typeof value === 'number' ? value : JSON.stringify(value)}`
  }
  return `${line},"msg":"request"}\n`
}

/** Writes the time of a line; the date part is recomputed once a second. */
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

/** Copies only objects that contain a secret, at the top or one level below. */
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

/** Errors have a serializer that includes none of their properties. */
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

/** For tests and for callers without a log. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {}, request() {} }
