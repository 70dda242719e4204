// The table of dialects. Routes, errors, windows, REST and settings read everything from an entry here.

import type { JsonValue } from '../base/json.ts'
import type { Dialect } from '../base/records.ts'
import { chatRules } from './chat.ts'
import { completionsRules } from './completions.ts'
import type { DialectRules, Vocabulary } from './dialect.ts'
import { messagesRules } from './messages.ts'
import { responsesRules } from './responses.ts'

export const dialects: readonly DialectRules[] = [chatRules, completionsRules, responsesRules, messagesRules]

/** Names of all dialects. */
export const dialectNames: readonly Dialect[] = dialects.map(({ dialect }) => dialect)

/** A dialect with conversations: windows can hold them. */
export type MessageRules = DialectRules & { readonly messagesField: string }

const withMessages = dialects.filter((rules): rules is MessageRules => rules.messagesField !== undefined)

/** Names and titles of the dialects that have messages. */
export const messageDialects: readonly Dialect[] = withMessages.map(({ dialect }) => dialect)
export const messageTitles: readonly string[] = withMessages.map(({ title }) => title)

/** Body fields with messages in any dialect. */
export const messageFields: ReadonlySet<string> = new Set(withMessages.map(({ messagesField }) => messagesField))

/** Body fields of a system prompt outside the messages, in any dialect. */
export const systemFields: ReadonlySet<string> = new Set(dialects.flatMap(({ systemField }) => systemField ?? []))

/** The combined vocabulary of all dialects. */
export const vocabulary = {
  partFields: wordsFor('partFields'),
  toolFields: wordsFor('toolFields'),
  textParts: typesFor('textParts'),
  mediaParts: typesFor('mediaParts'),
  calls: typesFor('calls'),
  results: typesFor('results'),
} satisfies Record<keyof Vocabulary, unknown>

function wordsFor(kind: keyof Vocabulary): readonly string[] {
  return [...new Set(dialects.flatMap((rules) => rules.vocabulary[kind]))]
}

/** Takes a `type` field of any JSON type. */
function typesFor(kind: keyof Vocabulary): ReadonlySet<JsonValue | undefined> {
  return new Set(wordsFor(kind))
}

const byName: ReadonlyMap<Dialect, DialectRules> = new Map(dialects.map((rules) => [rules.dialect, rules]))

/** Throws a `TypeError` for an unknown name, such as one that a newer version stored. */
export function rulesOf(dialect: Dialect): DialectRules {
  const rules = byName.get(dialect)
  if (rules === undefined) throw new TypeError(`there is no dialect ${dialect}`)
  return rules
}

/** The same for dialects with messages; throws a `TypeError` for any other. */
export function messageRulesOf(dialect: Dialect): MessageRules {
  const rules = withMessages.find((known) => known.dialect === dialect)
  if (rules === undefined) throw new TypeError(`there is no dialect ${dialect} with messages`)
  return rules
}

/** The dialect of this path or of a path above it; undefined if there is none. */
export function rulesAt(path: string): DialectRules | undefined {
  return dialects.find((rules) => path === rules.path || path.startsWith(`${rules.path}/`))
}
