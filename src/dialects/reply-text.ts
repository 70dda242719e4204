// The text of a reply, without its reasoning and tool calls.

import { isObject, type JsonValue } from '../base/json.ts'
import type { DialectRules } from './dialect.ts'
import { textOf } from './fields.ts'

/** The text that the model wrote in these messages. */
export function replyText(messages: readonly JsonValue[], rules: DialectRules): string {
  return messages.map((message) => (rules.isFromModel(message) ? textIn(message, rules) : '')).join('')
}

function textIn(message: JsonValue, { vocabulary: { partFields, textParts } }: DialectRules): string {
  if (!isObject(message)) return ''
  return partFields
    .map((field) => {
      const content = message[field]
      if (!Array.isArray(content)) return textOf(content) ?? ''
      const parts = (content as readonly JsonValue[]).filter(isObject)
      return parts
        .map(({ type, text }) => (textParts.includes(textOf(type) ?? '') ? (textOf(text) ?? '') : ''))
        .join('')
    })
    .join('')
}
