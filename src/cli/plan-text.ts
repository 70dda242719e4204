// Prints a plan for people.

import type { LoadPlan, Plan } from '../plan/plan.ts'
import type { Screen } from './terminal/screen.ts'
import { formatFields } from './terminal/table.ts'
import { formatCount, formatDuration, pluralize } from './terminal/text.ts'

/** Where the bytes per token come from. */
export interface Source {
  readonly model: string
  /** Tokens. */
  readonly context: number
  /** Tokens a second, if the source shows it. */
  readonly prefillRate: number | undefined
  readonly notes: readonly string[]
}

/** For a sentence about the break-even where no rate is known. */
const EXAMPLE_RATE = 10_000

export function formatPlan(
  screen: Screen,
  { model, context, notes }: Source,
  { sessions, windows }: { readonly sessions: number; readonly windows: number },
  plan: Plan,
): string[] {
  const { contextBytes, proxies, assumptions } = plan
  const all = windows === 0 ? undefined : pluralize(windows, 'window')
  return [
    ...formatFields(screen, [
      ['model', model],
      ['KV per token', formatPerToken(plan)],
      ['one context', `${pluralize(context, 'token')}: ${formatBytes(contextBytes)}`],
      [
        'L2',
        `${formatBytes(plan.l2Bytes)}: ${pluralize(sessions, 'session')} ${formatBytes(plan.sessionsBytes)}, ${pluralize(windows, 'window')} ${formatBytes(plan.windowsBytes)}`,
      ],
      ['L1', formatL1(plan)],
      ['store', `${formatBytes(plan.sqliteBytes)} in SQLite, or ${formatBytes(plan.redisBytes)} in Redis`],
      [
        'proxies',
        `${proxies.count}${proxies.count > 1 ? ' (with Redis)' : ''}: ${proxies.cores.toFixed(2)} cores for ${formatNumber(proxies.requestsPerSecond)} turns a second`,
      ],
      ...plan.loads.map((load, at) => [at === 0 ? 'load' : '', formatLoad(load, all)] as const),
      ['prefill', formatPrefill(plan, all)],
      ['break-even', formatBreakEven(plan)],
    ]),
    ...notes.map((note) => screen.style('yellow', `note: ${note}`)),
    ...assumptions.map((text) => screen.style('dim', `assumed: ${text}`)),
  ]
}

function formatPerToken(plan: Plan): string {
  const { bytesPerToken: all, bytesPerTokenOnEachGpu: onGpu, slidingBytesPerSessionOnEachGpu: sliding } = plan
  const stored = `${formatCount(Math.round(all))} bytes (${formatKib(all)})`
  if (onGpu === null || onGpu === all) return stored
  const more = sliding === null || sliding === 0 ? '' : `, and ${formatBytes(sliding)} a session`
  return `${stored}; on each GPU ${formatKib(onGpu)}${more}`
}

function formatL1({ contextsInL1, contextBytes }: Plan): string {
  if (contextsInL1 === null) return `at least ${formatBytes(contextBytes)}, one context; set --l1 to see how many fit`
  if (contextsInL1 === 0) return `too small: one context takes ${formatBytes(contextBytes)}`
  return `${pluralize(contextsInL1, 'context')} at once`
}

function formatLoad({ bandwidth, contextSeconds, windowsSeconds, loadingIsSlower }: LoadPlan, all?: string): string {
  const verdict =
    loadingIsSlower === null ? '' : loadingIsSlower ? ': SLOWER than computing' : ': faster than computing'
  return `at ${formatBytes(bandwidth)}/s: one context in ${formatSeconds(contextSeconds)}${all === undefined ? '' : `, ${all} in ${formatSeconds(windowsSeconds)}`}${verdict}`
}

function formatPrefill({ prefill }: Plan, all?: string): string {
  if (prefill === null) return 'unknown: set --prefill-rate, as measured with your engine'
  const { contextSeconds, windowsSeconds } = prefill
  return `one context in ${formatSeconds(contextSeconds)}${all === undefined ? '' : `, ${all} in ${formatSeconds(windowsSeconds)}`}`
}

function formatBreakEven({ prefill, bytesPerToken }: Plan): string {
  if (prefill !== null) {
    return `${formatBytes(prefill.breakEvenBandwidth)}/s: slower storage loses to computing`
  }
  return `bytes per token × prefill rate: ${formatBytes(bytesPerToken * EXAMPLE_RATE)}/s for ${formatCount(EXAMPLE_RATE)} tokens a second`
}

const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

/** Decimal units, as disks and links are sold. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let at = 0
  while (value >= 999.5 && at < units.length - 1) {
    value /= 1_000
    at++
  }
  return `${formatNumber(value)} ${units[at]}`
}

function formatKib(bytes: number): string {
  return `${formatNumber(bytes / 1_024)} KiB`
}

/** Three digits. */
function formatNumber(value: number): string {
  return String(Number(value.toPrecision(3)))
}

function formatSeconds(seconds: number): string {
  return formatDuration(Math.round(seconds * 1_000))
}
