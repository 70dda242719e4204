// What the audit log has of a question to many windows: which ones, and the counts. Nothing of its text.

import type { ManyAnswer, WindowChoice } from './many-question.ts'

/** Names of windows in an audit entry. */
const MAX_AUDITED_NAMES = 20

/** What was chosen: the entry's name. */
export function nameOf(choice: WindowChoice): string {
  if ('names' in choice) return `${choice.names.length} by name`
  const conditions = [
    choice.tag === undefined ? [] : [`tag ${choice.tag}`],
    choice.search === undefined ? [] : ['search'],
  ]
  return conditions.flat().join(', ')
}

/** One entry for the whole question: one for each window would drive everything else out of the log. */
export function auditReceiptOf({
  answers,
  failed,
  receipt,
}: ManyAnswer): Readonly<Record<string, string | number | null>> {
  const names = [...answers, ...failed].map(({ window }) => window)
  const more = names.length > MAX_AUDITED_NAMES ? `, and ${names.length - MAX_AUDITED_NAMES} more` : ''
  return {
    windows: `${names.slice(0, MAX_AUDITED_NAMES).join(', ')}${more}`,
    answered: receipt.answered,
    not_found: receipt.notFound,
    failed: receipt.failed,
    restored_tokens: receipt.restoredTokens,
    computed_tokens: receipt.computedTokens,
    completion_tokens: receipt.completionTokens,
    reduction_tokens: receipt.reduction.promptTokens,
  }
}
