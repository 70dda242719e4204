// The table of dialects. One that has an entry here has its routes, its errors, its windows, and its name in REST and settings.

import type { Dialect } from '../base/records.ts'
import { chatRules } from './chat.ts'
import { completionsRules } from './completions.ts'
import type { DialectRules } from './dialect.ts'
import { messagesRules } from './messages.ts'
import { responsesRules } from './responses.ts'

export const dialects: readonly DialectRules[] = [chatRules, completionsRules, responsesRules, messagesRules]

const byName: ReadonlyMap<Dialect, DialectRules> = new Map(dialects.map((rules) => [rules.dialect, rules]))

/** Throws a `TypeError` for a name that is not in the table, such as one that a newer version has stored. */
export function rulesOf(dialect: Dialect): DialectRules {
  const rules = byName.get(dialect)
  if (rules === undefined) throw new TypeError(`there is no dialect ${dialect}`)
  return rules
}

/** The dialect whose path this is, or stands below; undefined on paths of none. */
export function rulesAt(path: string): DialectRules | undefined {
  return dialects.find((rules) => path === rules.path || path.startsWith(`${rules.path}/`))
}
