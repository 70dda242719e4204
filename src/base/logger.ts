// Structured logs by pino. What is logged is named field by field by the caller: never bodies, salts, keys or prompts.

import { type DestinationStream, type Logger as Pino, pino, stdSerializers } from 'pino'

export type Logger = Pick<Pino, 'debug' | 'info' | 'warn' | 'error'>

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

/** Fields that no log line may hold, wherever a mistake would put them. */
const secretFields = [
  'authorization',
  'x-api-key',
  'cache_salt',
  'salt',
  'apiKey',
  'secret',
  'body',
  'prompt',
  'messages',
]

/** One JSON object a line, on standard error. An error is logged with code, message and causes' messages, without its properties. */
export function createLogger(level: LogLevel, to: DestinationStream = pino.destination(2)): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      redact: { paths: secretFields.flatMap((field) => [`["${field}"]`, `*["${field}"]`]), remove: true },
      serializers: { err: describeError },
    },
    to,
  )
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
