// Converts a report of the ledger to REST's type, and to CSV.

import { countAt, firstTokenAt, firstTokenBounds, type UsageCounts } from '../base/usage-counts.ts'
import type { UsageLine, UsageReport } from '../ledger/usage-report.ts'
import type { UsageJson, UsageLineJson } from '../wire/usage.ts'
import { iso } from './to-wire.ts'

export function usageToWire({ from, to, unit, lines }: UsageReport, by: UsageJson['by']): UsageJson {
  return { from: iso(from), to: iso(to), unit, by: [...by], data: lines.map(lineToWire), advice: adviceFor(lines) }
}

/** Below this share of the computed tokens, the price of isolation is not worth a change. */
const HIGH_PRICE = 0.1

function adviceFor(lines: readonly UsageLine[]): string | null {
  const sum = (name: keyof typeof countAt) =>
    lines.reduce((total, { counts }) => total + (counts[countAt[name]] ?? 0), 0)
  const [repeated, computed] = [sum('repeatedTokens'), sum('computedTokens')]
  if (repeated === 0 || repeated < HIGH_PRICE * computed) return null
  return `about ${Math.round((100 * repeated) / computed)}% of the computed prompt tokens are system prompts and tools that another session of the same tenant had computed before. To compute them once, set isolation to user or tenant, or freeze the common beginning as a window and start chats from it (x-cwm-window)`
}

function lineToWire({ at, counts, ...place }: UsageLine): UsageLineJson {
  const of = (name: keyof typeof countAt) => counts[countAt[name]] ?? 0
  const [requests, errors, metered, cacheReported] = [of('requests'), of('errors'), of('metered'), of('cacheReported')]
  const unmetered = requests - errors - metered
  // A failed or aborted request has used tokens that nobody reported. Without any request, the sum is 0.
  const isEmpty = requests + of('aborted') === 0
  const isUnknown = metered === 0 && !isEmpty
  const isCacheUnknown = cacheReported === 0 && !isEmpty
  return {
    ...(at === undefined ? {} : { at: iso(at) }),
    ...place,
    requests,
    errors,
    aborted: of('aborted'),
    unmetered,
    cache_unreported: metered - cacheReported,
    prompt_tokens: isUnknown ? null : of('promptTokens'),
    cached_tokens: isCacheUnknown ? null : of('cachedTokens'),
    computed_tokens: isCacheUnknown ? null : of('computedTokens'),
    completion_tokens: isUnknown ? null : of('completionTokens'),
    restored_tokens: of('restores') === 0 ? null : of('restoredTokens'),
    warmed_tokens: of('warmedTokens'),
    repeats: of('repeats'),
    repeated_tokens: of('repeatedTokens'),
    longest_queue_ms: of('longestQueueMs'),
    first_token: firstTokenOf(counts),
  }
}

function firstTokenOf(counts: UsageCounts): UsageLineJson['first_token'] {
  const buckets = [...firstTokenBounds, null].map((le_ms, n) => ({ le_ms, count: counts[firstTokenAt + n] ?? 0 }))
  const count = buckets.reduce((sum, bucket) => sum + bucket.count, 0)
  const sumMs = counts[countAt.firstTokenMs] ?? 0
  return { count, mean_ms: count === 0 ? null : Math.round(sumMs / count), buckets }
}

/** With a header line. Null is an empty cell. */
export function usageToCsv({ by, data }: UsageJson): string {
  const times: readonly string[] = ['minute', 'hour', 'day']
  const places = [...new Set(by.map((dimension) => (times.includes(dimension) ? 'at' : dimension)))]
  const rows = data.map((line) => cellsOf(line, places))
  const titles = rows[0]?.map(([title]) => title) ?? places
  return [titles, ...rows.map((row) => row.map(([, value]) => value))].map(csvLine).join('')
}

type Cell = readonly [title: string, value: string | number | null]

function cellsOf({ first_token, ...line }: UsageLineJson, places: readonly string[]): Cell[] {
  const { at, tenant, key, model, ...counts } = line
  const place: Readonly<Record<string, string | undefined>> = { at, tenant, key, model }
  return [
    ...places.map((name): Cell => [name, place[name] ?? null]),
    ...Object.entries(counts),
    ['first_token_count', first_token.count],
    ['first_token_mean_ms', first_token.mean_ms],
    ...first_token.buckets.map(({ le_ms, count }): Cell => [`first_token_le_${le_ms ?? 'inf'}`, count]),
  ]
}

/** RFC 4180. */
function csvLine(cells: readonly (string | number | null)[]): string {
  const texts = cells.map((cell) => {
    const text = String(cell ?? '')
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  })
  return `${texts.join(',')}\r\n`
}
