// Rejects content parts that reach a cache which no salt covers: the `uuid` of media (docs/engine-behavior.md#media-ids), and
// `prompt_embeds`, which are KV of unknown origin, like the field of that name.

import { CwmError } from '../base/errors.ts'
import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { vocabulary } from './index.ts'

/** Throws `FORBIDDEN_FIELD` if a message contains such a part; `allowed` are the operator's exceptions, by name. */
export function checkParts(messages: readonly JsonValue[], allowed: ReadonlySet<string>): void {
  for (const message of messages) {
    if (!isObject(message)) continue
    // On Responses a tool's result is in `output`; vLLM turns it into a message's content, part by part.
    for (const field of vocabulary.partFields) {
      const parts = message[field]
      if (Array.isArray(parts)) for (const part of parts as readonly JsonValue[]) checkPart(part, allowed)
    }
  }
}

/** The same for parts at any depth of a body field: batches have lists of conversations, scores have documents with parts. */
export function checkNestedParts(value: JsonValue | undefined, field: string, allowed: ReadonlySet<string>): void {
  if (Array.isArray(value)) for (const item of value as readonly JsonValue[]) checkNestedParts(item, field, allowed)
  if (!isObject(value)) return
  checkOne(value, allowed, field)
  for (const member of Object.values(value)) checkNestedParts(member, field, allowed)
}

function checkPart(part: JsonValue, allowed: ReadonlySet<string>): void {
  if (!isObject(part)) return
  checkOne(part, allowed, 'messages')
  // Anthropic's tool results contain parts of their own.
  if (Array.isArray(part.content)) for (const inner of part.content as readonly JsonValue[]) checkPart(inner, allowed)
}

function checkOne(part: JsonObject, allowed: ReadonlySet<string>, param: string): void {
  if (part.uuid !== undefined && part.uuid !== null && !allowed.has('uuid')) {
    throw new CwmError('FORBIDDEN_FIELD', '`uuid` of a content part identifies media across tenants; omit it', {
      param,
    })
  }
  if ((part.type === 'prompt_embeds' || part.prompt_embeds !== undefined) && !allowed.has('prompt_embeds')) {
    throw new CwmError('FORBIDDEN_FIELD', 'content parts of `prompt_embeds` bypass the gateway; send text instead', {
      param,
    })
  }
}
