// What a tenant may not say: fields that reach below the gateway, and ids of what a server keeps, which open it to anyone who knows them.

import { CwmError } from '../base/errors.ts'
import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { Dialect } from '../base/records.ts'
import { checkParts } from '../dialects/forbidden-parts.ts'
import type { RawObject } from '../dialects/raw-json.ts'
import { checkIdentity } from '../identity/identity-check.ts'

/** Fields by which a router may steer the engine or its KV transfer, and tenants may not: docs/engine-behavior.md#steering-fields. */
export const steeringFields: readonly string[] = [
  'kv_transfer_params',
  'ec_transfer_params',
  'request_id',
  'priority',
  'data_parallel_rank',
  'vllm_xargs',
  'prompt_embeds',
  'agent_hint',
  'nvext',
  'kv_hints',
]

/** Fields that cwm replaces in every request that has them. */
const alwaysReplaced = ['cache_salt', 'session_id']

/** The engine's own bound (docs/engine-behavior.md#salt-format). The store keeps each of a session's salts, so it needs one. */
const MAX_SALT = 128
/** Longer than any served name; kept in the store with each session as well. */
const MAX_MODEL = 1024

/**
 * Throws `FORBIDDEN_FIELD`, `NOT_SUPPORTED` or `INVALID_FIELD`; `allowed` are the operator's exceptions. `raw` is what `body` was
 * parsed from.
 */
export function checkFields(raw: RawObject, body: JsonObject, dialect: Dialect, allowed: ReadonlySet<string>): void {
  for (const field of steeringFields) {
    const value = body[field]
    if (value === undefined || allowed.has(field)) continue
    // A null says nothing, unless a parser that takes the first of two finds another value before it.
    if (value === null && raw.count(field) === 1) continue
    throw new CwmError('FORBIDDEN_FIELD', `\`${field}\` reaches below the gateway; leave it out`, { param: field })
  }
  for (const list of [body.messages, body.input]) {
    if (Array.isArray(list)) checkParts(list as readonly JsonValue[], allowed)
  }
  checkIdentity(raw, body)
  for (const field of alwaysReplaced) if (body[field] !== undefined) raw.requireOnce([field])
  checkText(body, 'cache_salt', MAX_SALT)
  checkText(body, 'model', MAX_MODEL)
  if (dialect === 'responses') checkStored(body)
  if (dialect === 'messages' && isObject(body.thread) && isSet(body.thread.previous_message_id)) {
    throw leftWithServer('thread', 'messages')
  }
}

function checkText(body: JsonObject, field: string, atMost: number): void {
  const value = body[field]
  if (value === undefined || value === null || (typeof value === 'string' && value.length <= atMost)) return
  throw new CwmError('INVALID_FIELD', `\`${field}\` must be text of at most ${atMost} characters`, { param: field })
}

/**
 * What a request may leave with the server. `previous_response_id` is looked up by cwm, so it is not refused here; a background response
 * outlives its request: nobody could stop it with its session, and it would still put KV under a salt that a delete has vouched for.
 */
function checkStored(body: JsonObject): void {
  if (isTruthy(body.background)) {
    throw new CwmError('NOT_SUPPORTED', '`background` is not supported: a response must end with its request', {
      param: 'background',
    })
  }
  if (isSet(body.conversation)) throw leftWithServer('conversation', 'input')
  const items = Array.isArray(body.input) ? (body.input as readonly JsonValue[]) : []
  if (items.some((item) => isObject(item) && item.type === 'item_reference')) {
    throw new CwmError(
      'NOT_SUPPORTED',
      'items by reference (`item_reference`) are not supported; send them whole (with the AI SDK: `providerOptions.openai.store: false`)',
      { param: 'input' },
    )
  }
}

/** Ids that an engine would follow without asking whose they are. */
function leftWithServer(field: string, instead: string): CwmError {
  return new CwmError('NOT_SUPPORTED', `\`${field}\` is not supported; send the earlier turns in \`${instead}\``, {
    param: field,
  })
}

/** The response that a request continues. Throws `INVALID_FIELD` for what is no text. */
export function previousResponseOf(body: JsonObject, dialect: Dialect): string | undefined {
  const id = body.previous_response_id
  if (dialect !== 'responses' || !isSet(id)) return undefined
  if (typeof id === 'string') return id
  throw new CwmError('INVALID_FIELD', '`previous_response_id` must be text', { param: 'previous_response_id' })
}

function isSet(value: JsonValue | undefined): boolean {
  return value !== undefined && value !== null
}

/** Whether vLLM streams for this value of `stream`: docs/engine-behavior.md#stream-flag. */
export function isTruthy(value: unknown): boolean {
  if (typeof value === 'string') return ['1', 'true', 't', 'yes', 'y', 'on'].includes(value.toLowerCase())
  return value === true || value === 1
}
