// What a tenant may not say: fields that reach below the gateway, and ids of what a server keeps, which open it to anyone who knows them.

import { CwmError } from '../base/errors.ts'
import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { Dialect } from '../base/records.ts'

/**
 * Fields by which vLLM 0.32 lets a router steer the engine or its KV transfer (read from its request classes; `vllm_xargs` ends
 * in the same `extra_args` as `kv_transfer_params`, and `prompt_embeds` is KV that no salt covers the origin of).
 */
export const steeringFields: readonly string[] = [
  'kv_transfer_params',
  'ec_transfer_params',
  'request_id',
  'priority',
  'data_parallel_rank',
  'vllm_xargs',
  'prompt_embeds',
]

/** Throws `FORBIDDEN_FIELD`, `NOT_SUPPORTED` or `INVALID_FIELD`; `allowed` are the operator's exceptions. */
export function checkFields(body: JsonObject, dialect: Dialect, allowed: ReadonlySet<string>): void {
  for (const field of steeringFields) {
    const value = body[field]
    if (value === undefined || value === null || allowed.has(field)) continue
    throw new CwmError('FORBIDDEN_FIELD', `\`${field}\` reaches below the gateway; leave it out`, { param: field })
  }
  checkParts(body, allowed)
  const salt = body.cache_salt
  if (salt !== undefined && salt !== null && typeof salt !== 'string') {
    throw new CwmError('INVALID_FIELD', '`cache_salt` must be text', { param: 'cache_salt' })
  }
  const { model } = body
  if (model !== undefined && model !== null && typeof model !== 'string') {
    throw new CwmError('INVALID_FIELD', '`model` must be text', { param: 'model' })
  }
  if (dialect === 'responses') checkStored(body)
  if (dialect === 'messages' && isObject(body.thread) && isSet(body.thread.previous_message_id)) {
    throw leftWithServer('thread', 'messages')
  }
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

/** Whether vLLM streams for this value of `stream`: its parser takes 1, "true", "yes" and their like for true as well. */
export function isTruthy(value: unknown): boolean {
  if (typeof value === 'string') return ['1', 'true', 't', 'yes', 'y', 'on'].includes(value.toLowerCase())
  return value === true || value === 1
}

/**
 * Content parts that reach a cache which no salt covers: vLLM 0.32 takes a media part's `uuid` as the key of its processor and encoder
 * caches (renderers/chat_utils.py, multimodal/processing/inputs.py), so it would name another tenant's picture; and `prompt_embeds`
 * parts are what the field of that name is.
 */
function checkParts(body: JsonObject, allowed: ReadonlySet<string>): void {
  for (const list of [body.messages, body.input]) {
    if (!Array.isArray(list)) continue
    for (const message of list as readonly JsonValue[]) {
      const content = isObject(message) ? message.content : undefined
      if (Array.isArray(content)) for (const part of content as readonly JsonValue[]) checkPart(part, allowed)
    }
  }
}

function checkPart(part: JsonValue, allowed: ReadonlySet<string>): void {
  if (!isObject(part)) return
  if (part.uuid !== undefined && part.uuid !== null && !allowed.has('uuid')) {
    throw new CwmError('FORBIDDEN_FIELD', '`uuid` of a content part names media across tenants; leave it out', {
      param: 'messages',
    })
  }
  if ((part.type === 'prompt_embeds' || part.prompt_embeds !== undefined) && !allowed.has('prompt_embeds')) {
    throw new CwmError('FORBIDDEN_FIELD', 'content parts of `prompt_embeds` reach below the gateway; send text', {
      param: 'messages',
    })
  }
  // Anthropic's tool results hold parts of their own.
  if (Array.isArray(part.content)) for (const inner of part.content as readonly JsonValue[]) checkPart(inner, allowed)
}
