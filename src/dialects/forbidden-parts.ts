// Content parts that reach a cache which no salt covers: `uuid` of media (docs/engine-behavior.md#media-ids), and `prompt_embeds`, which
// are KV of unknown origin, as the field of that name is.

import { CwmError } from '../base/errors.ts'
import { isObject, type JsonValue } from '../base/json.ts'
import { vocabulary } from './index.ts'

/** Throws `FORBIDDEN_FIELD` when a message holds such a part; `allowed` are the operator's exceptions, by name. */
export function checkParts(messages: readonly JsonValue[], allowed: ReadonlySet<string>): void {
  for (const message of messages) {
    if (!isObject(message)) continue
    // What a tool put out stands in `output` on Responses, and becomes a message's content in vLLM, part by part.
    for (const field of vocabulary.partFields) {
      const parts = message[field]
      if (Array.isArray(parts)) for (const part of parts as readonly JsonValue[]) checkPart(part, allowed)
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
