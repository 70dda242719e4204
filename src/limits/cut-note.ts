// The optional note that informs a model about a cut: a sentence at the end of the system prompt, in the dialect's form. The same cut gives
// the same note in the same place, so the prefix stays cached.

import { isObject, isPresent, type JsonObject, type JsonValue } from '../base/json.ts'
import type { DialectRules } from '../dialects/dialect.ts'

export interface NoteRequest {
  readonly rules: Pick<DialectRules, 'systemField' | 'systemPartType' | 'newSystem' | 'isSystem' | 'textMessage'>
  /** The outgoing fields beside the messages. */
  readonly body: JsonObject
  /** The outgoing messages. */
  readonly messages: readonly JsonValue[]
  /** The cut's `cutTag`. */
  readonly tag: string
}

/** How the note is placed: a new value for a body field, a new message at an index, or an additional first message. */
export type CutNote =
  | { readonly kind: 'field'; readonly field: string; readonly value: JsonValue }
  | { readonly kind: 'message'; readonly at: number; readonly message: JsonValue }
  | { readonly kind: 'front'; readonly message: JsonValue }

export function placeCutNote({ rules, body, messages, tag }: NoteRequest): CutNote {
  const text =
    'Earlier turns of this conversation are not shown here. ' +
    `They are kept in a saved context window with the tag ${tag}.`
  const { systemField: field } = rules
  const outer = field === undefined ? undefined : body[field]
  if (field !== undefined && isPresent(outer)) return { kind: 'field', field, value: append(outer, text, 'text') }
  const at = messages.findIndex((message) => rules.isSystem(message))
  const system = messages[at]
  if (isObject(system)) {
    const content = append(system.content, text, rules.systemPartType)
    return { kind: 'message', at, message: { ...system, content } }
  }
  if (field !== undefined && rules.newSystem === 'field') return { kind: 'field', field, value: text }
  return { kind: 'front', message: rules.textMessage('system', text) }
}

/** Adds a paragraph to text, or a part to a list. */
function append(content: JsonValue | undefined, text: string, type: string): JsonValue {
  if (Array.isArray(content)) return [...(content as readonly JsonValue[]), { type, text }]
  return typeof content === 'string' && content !== '' ? `${content}\n\n${text}` : text
}
