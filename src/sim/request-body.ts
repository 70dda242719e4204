// Reads and checks a request's body as vLLM does, with the recorded message for each error.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { EngineError, parameterError, ValidationError } from './errors.ts'
import type { SimSettings } from './options.ts'
import { pythonString } from './python-json.ts'
import type { SimRequest } from './routes.ts'

const TRUE = new Set(['1', 'on', 't', 'true', 'y', 'yes'])
const FALSE = new Set(['0', 'off', 'f', 'false', 'n', 'no'])

/** The body as an object. Throws vLLM's errors for another media type, invalid JSON, or another type of value. */
export function objectBody(request: SimRequest): JsonObject {
  const mediaType = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase()
  if (mediaType !== 'application/json') {
    throw new EngineError(
      400,
      "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed",
      null,
      'Bad Request',
    )
  }
  let value: unknown
  try {
    value = JSON.parse(request.body.toString('utf8'))
  } catch {
    const ctx = "{'error': 'Expecting value'}"
    throw new ValidationError([
      { type: 'json_invalid', loc: 'body.0', msg: 'JSON decode error', input: "'<dict of 0 items>'", ctx },
    ])
  }
  if (isObject(value)) return value
  const msg = 'Input should be a valid dictionary or object to extract fields from'
  const input = Array.isArray(value) ? `'<list of ${value.length} items>'` : pythonString(String(value))
  throw new ValidationError([{ type: 'model_attributes_type', loc: 'body', msg, input }])
}

/** Throws pydantic's error for each missing field. `extra`: how many fields vLLM's parser adds before it counts. */
export function requireFields(body: JsonObject, names: readonly string[], extra = 0): void {
  const input = `'<dict of ${Object.keys(body).length + extra} items>'`
  const missing = names.filter((name) => body[name] === undefined)
  if (missing.length === 0) return
  throw new ValidationError(
    missing.map((name) => ({ type: 'missing', loc: `body.${name}`, msg: 'Field required', input })),
  )
}

/** A list of objects. Throws if it is not one. */
export function objectList(body: JsonObject, name: string): JsonObject[] {
  const value = body[name]
  if (Array.isArray(value)) return (value as readonly JsonValue[]).filter(isObject)
  const input = typeof value === 'string' ? pythonString(value) : pythonString(JSON.stringify(value ?? null))
  throw new ValidationError([{ type: 'list_type', loc: `body.${name}`, msg: 'Input should be a valid list', input }])
}

/** A boolean as pydantic reads it (docs/engine-behavior.md#stream-flag). Null and absent are false. */
export function booleanField(body: JsonObject, name: string): boolean {
  const value = body[name]
  if (value === undefined || value === null) return false
  if (typeof value === 'boolean') return value
  const word = String(value).toLowerCase()
  if (TRUE.has(word)) return true
  if (FALSE.has(word)) return false
  const msg = 'Input should be a valid boolean, unable to interpret input'
  throw new ValidationError([{ type: 'bool_parsing', loc: `body.${name}`, msg, input: pythonString(String(value)) }])
}

/** The salt, '' for none. Throws if it is empty, not a string, too long, or contains a character that keys cannot. */
export function saltOf(body: JsonObject): string {
  const salt = body.cache_salt
  if (salt === undefined || salt === null) return ''
  if (typeof salt !== 'string' || salt === '') {
    throw parameterError('cache_salt', "Parameter 'cache_salt' must be a non-empty string if provided.")
  }
  if (salt.length > 128 || /[@/\\\0]/.test(salt)) {
    throw parameterError(
      'cache_salt',
      "Parameter 'cache_salt' must be at most 128 characters and must not contain '@', '/', '\\\\', or NUL.",
    )
  }
  return salt
}

/** The adapter that the model's name refers to, '' for the base model. Throws 404 for an unknown name. */
export function adapterOf(body: JsonObject, settings: SimSettings): string {
  const model = body.model
  if (model === undefined || model === null || model === settings.model) return ''
  if (settings.adapters.some((adapter) => adapter.name === model)) return String(model)
  // vLLM lists only the base model (serve/engine/serving.py).
  const message = `The model \`${String(model)}\` does not exist. Valid aliases: ${settings.model}.`
  throw new EngineError(404, message, 'model')
}

/** The answer's token limit (docs/engine-behavior.md#context-limit). Throws the three recorded 400s. */
export function tokensAllowed(asked: number | undefined, promptTokens: number, field: string, limit: number): number {
  if (promptTokens > limit) {
    throw parameterError(
      'input_tokens',
      `This model's maximum context length is ${limit} tokens. However, your prompt contains at least ${limit + 1} input tokens, ` +
        'which exceeds this limit even without any output tokens. Please reduce the length of the input prompt.',
      limit + 1,
    )
  }
  if (asked !== undefined && asked > limit) {
    const message = `${field}=${asked} cannot be greater than max_model_len=${limit}. Please request fewer output tokens.`
    throw parameterError(field, message, asked)
  }
  const allowed = Math.min(asked ?? limit, limit - promptTokens)
  if (allowed < 1) throw parameterError('max_tokens', `max_tokens must be at least 1, got ${allowed}.`, allowed)
  return allowed
}

/** A number, or undefined for null and absent. */
export function numberField(body: JsonObject, name: string): number | undefined {
  const value = body[name]
  return typeof value === 'number' ? value : undefined
}

/** Whether a stream's usage was requested. Throws if it was requested without a stream. */
export function streamOptions(body: JsonObject, stream: boolean): { usage: boolean; continuous: boolean } {
  const options = body.stream_options
  if (options === undefined || options === null) return { usage: false, continuous: false }
  if (!stream) throw parameterError('stream_options', 'Stream options can only be defined when `stream=True`.')
  if (!isObject(options)) return { usage: false, continuous: false }
  const usage = booleanField(options, 'include_usage')
  return { usage, continuous: usage && booleanField(options, 'continuous_usage_stats') }
}

/** `n`. Throws if greedy sampling would have several answers. */
export function choicesOf(body: JsonObject): number {
  const n = numberField(body, 'n') ?? 1
  if (n > 1 && body.temperature === 0) throw new EngineError(400, `n must be 1 when using greedy sampling, got ${n}.`)
  return Math.max(1, n)
}

/** `stop`: a string or an array of strings. */
export function stopStrings(body: JsonObject): string[] {
  const stop = body.stop ?? []
  return (Array.isArray(stop) ? stop : [stop]).filter((text) => typeof text === 'string')
}
