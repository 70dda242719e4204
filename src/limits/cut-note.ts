// What a model may be told of a cut: a sentence at the end of the system prompt, wherever this dialect has it. The same cut gives the same
// words in the same place, so that the prefix stays cached.

import { isGiven, isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { DialectRules } from '../dialects/dialect.ts'

export interface NoteRequest {
  readonly rules: Pick<DialectRules, 'systemField' | 'systemPartType' | 'newSystem' | 'isSystem' | 'textMessage'>
  /** The fields beside the messages that go out. */
  readonly body: JsonObject
  /** The messages that go out. */
  readonly messages: readonly JsonValue[]
  /** `cutTag` of the cut. */
  readonly tag: string
}

/** The change that puts the note in: another value of a body field, or of the message at an index, or a new message in front of all. */
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
  if (field !== undefined && isGiven(outer)) return { kind: 'field', field, value: append(outer, text, 'text') }
  const at = messages.findIndex((message) => rules.isSystem(message))
  const system = messages[at]
  if (isObject(system)) {
    const content = append(system.content, text, rules.systemPartType)
    return { kind: 'message', at, message: { ...system, content } }
  }
  if (field !== undefined && rules.newSystem === 'field') return { kind: 'field', field, value: text }
  return { kind: 'front', message: rules.textMessage('system', text) }
}

/** After text a paragraph of its own, in a list a part of its own. */
function append(content: JsonValue | undefined, text: string, type: string): JsonValue {
  if (Array.isArray(content)) return [...(content as readonly JsonValue[]), { type, text }]
  return typeof content === 'string' && content !== '' ? `${content}\n\n${text}` : text
}
