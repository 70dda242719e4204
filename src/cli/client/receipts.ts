// Formats receipts: what was requested, what was verified, what is still open.

import type { WindowAnswerJson } from '../../wire/asks.ts'
import type { DeletionJson } from '../../wire/deletions.ts'
import type { DependentSessionsJson } from '../../wire/dependent-sessions.ts'
import type { FreezeReceiptJson, PrefetchReceiptJson, RemarksJson, ThawReceiptJson } from '../../wire/receipts.ts'
import type { WindowJson } from '../../wire/windows.ts'
import type { Screen } from '../terminal/screen.ts'
import { formatCount, formatDuration, formatPercent, pluralize, toSingleLine } from '../terminal/text.ts'

const durabilities: Readonly<Record<FreezeReceiptJson['durability'], string>> = {
  l2: 'behind memory: survives a restart of engine and LMCache',
  l1: "in LMCache's memory",
  unverified: 'computed, but storage not verified',
  text: 'messages only, no KV',
}

export function formatDurability(durability: FreezeReceiptJson['durability']): string {
  return `${durability} (${durabilities[durability]})`
}

/** A window that was just created, or failed. */
export function formatNewWindow(screen: Screen, window: WindowJson): string[] {
  const { name, state, reason, receipt } = window
  if (state === 'failed') return [screen.style('red', `${name} failed: ${toSingleLine(reason ?? 'unknown reason')}`)]
  if (receipt === undefined) return [`${name} is ${state}; run cwm windows show ${name} --wait to see the result`]
  const { tokens, restorable_tokens, durability, pinned, ms } = receipt
  return [
    `${screen.style('green', 'frozen')} ${screen.style('bold', name)}: ${pluralize(tokens, 'token')}, ${formatCount(restorable_tokens)} restorable` +
      `${pinned ? ', pinned' : ''}${ms.total === undefined ? '' : `, in ${formatDuration(ms.total)}`}`,
    `stored: ${formatDurability(durability)}`,
    ...formatRemarks(screen, receipt),
  ]
}

export function formatThaw(screen: Screen, receipt: ThawReceiptJson): string[] {
  const { window, session_id, tokens, restored_tokens, recomputed_tokens, drift, ms } = receipt
  const restored =
    restored_tokens === null
      ? 'restored tokens unknown, because the engine does not report them (--enable-prompt-tokens-details)'
      : `${formatCount(restored_tokens)} of ${pluralize(tokens, 'token')} restored (${formatPercent(restored_tokens, tokens)}), ${formatCount(recomputed_tokens ?? 0)} computed`
  return [
    `${screen.style('green', 'thawed')} ${screen.style('bold', window)} into session ${screen.style('bold', session_id)}: ${restored}${ms.total === undefined ? '' : `, in ${formatDuration(ms.total)}`}`,
    ...(drift
      ? [screen.style('yellow', 'template or tokenizer have changed since the freeze: the new token ids are used')]
      : []),
    ...formatRemarks(screen, receipt),
  ]
}

/** The answer first, because it is what was asked for. */
export function formatAnswer(screen: Screen, { window, answer, usage, receipt }: WindowAnswerJson): string[] {
  const { restored_tokens, computed_tokens, finish_reason, first_token_ms, ms, drift } = receipt
  const restored =
    restored_tokens === null
      ? 'restored tokens unknown, because the engine does not report them (--enable-prompt-tokens-details)'
      : `${formatCount(restored_tokens)} tokens restored, ${formatCount(computed_tokens ?? 0)} computed`
  const first = first_token_ms === null ? '' : `, first text after ${formatDuration(first_token_ms)}`
  return [
    answer,
    '',
    `${screen.style('green', 'asked')} ${screen.style('bold', window)}: ${restored}, ${pluralize(usage?.completion_tokens ?? 0, 'token')} answered${first}${ms.total === undefined ? '' : `, in ${formatDuration(ms.total)}`}`,
    ...(finish_reason === 'length'
      ? [screen.style('yellow', 'the answer was truncated; ask again with a higher --max-tokens')]
      : []),
    ...(drift === true
      ? [screen.style('yellow', 'template or tokenizer have changed since the freeze: the KV does not fit')]
      : []),
    ...formatRemarks(screen, receipt),
  ]
}

export function formatPrefetch(
  screen: Screen,
  { window, found_chunks, total_chunks, ms }: PrefetchReceiptJson,
): string[] {
  const found = found_chunks === null ? 'an unknown number' : formatCount(found_chunks)
  return [
    `${screen.style('green', 'loaded')} ${window}: ${found} of ${pluralize(total_chunks, 'chunk')} in LMCache's memory, in ${formatDuration(ms)}`,
  ]
}

const keepers = { session: 'a live session', window: 'another window', isolation: 'others of the tenant' } as const

/** Says before a delete how many sessions are based on the window, and what becomes of them. */
export function formatDependents(dependents: DependentSessionsJson | undefined, areEnded: boolean): string {
  if (dependents === undefined || dependents.count === 0) return ''
  const sessions = pluralize(dependents.count, 'session')
  return areEnded
    ? ` This also ends ${sessions} based on it (${namesOf(dependents)}).`
    : ` ${sessions} based on it (${namesOf(dependents)}) will continue, and keep its text until the last one ends.`
}

function namesOf({ count, sessions }: DependentSessionsJson): string {
  return `${sessions.join(', ')}${count > sessions.length ? ', …' : ''}`
}

export function formatDeletion(screen: Screen, receipt: DeletionJson): string[] {
  const { id, kind, name, state, deleted_chunks, residual_chunks, kept_chunks, kept_for, held_by, lineage_retired } =
    receipt
  const left = residual_chunks === null ? 'an unknown number left' : `${formatCount(residual_chunks)} left`
  const kept =
    kept_chunks === 0
      ? ''
      : `, ${formatCount(kept_chunks)} kept for ${kept_for.map((holder) => keepers[holder]).join(' and ')}`
  return [
    `${screen.style('green', kind === 'window' ? 'deleted' : 'ended')} ${screen.style('bold', name)}: ${pluralize(deleted_chunks, 'chunk')} deleted, ${left}${kept}`,
    ...(lineage_retired ? ['nothing uses its KV space any more, so its salt is retired and never used again'] : []),
    ...(held_by
      ? [
          `${pluralize(held_by.count, 'session')} based on it (${namesOf(held_by)}) ${held_by.count === 1 ? 'continues' : 'continue'}, and its text stays until the last one ends (delete ${id})`,
        ]
      : []),
    ...(state === 'open' && !held_by
      ? [
          screen.style(
            'yellow',
            `some of it is not deleted yet: cwm retries in the background (delete ${id}); use --wait to wait for it`,
          ),
        ]
      : []),
    ...formatRemarks(screen, receipt),
  ]
}

/** Warnings for the operator, then notes about normal conditions. */
export function formatRemarks(screen: Screen, { warnings, notes = [] }: RemarksJson): string[] {
  return [
    ...warnings.map((text) => `${screen.style('yellow', 'warning')} ${toSingleLine(text)}`),
    ...notes.map((text) => `${screen.style('dim', 'note')} ${toSingleLine(text)}`),
  ]
}
