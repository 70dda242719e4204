// The four dialects by name.

import type { Dialect } from '../base/records.ts'
import { chatRules } from './chat.ts'
import { completionsRules } from './completions.ts'
import type { DialectRules } from './dialect.ts'
import { messagesRules } from './messages.ts'
import { responsesRules } from './responses.ts'

const rules: Readonly<Record<Dialect, DialectRules>> = {
  chat: chatRules,
  completions: completionsRules,
  responses: responsesRules,
  messages: messagesRules,
}

export function rulesOf(dialect: Dialect): DialectRules {
  return rules[dialect]
}
