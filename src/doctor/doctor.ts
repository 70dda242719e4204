// Runs the checks one after another, each with a timeout. They are not parallel, because the live proofs share one engine.

import { type CwmError, toCwmError } from '../base/errors.ts'
import { apiChecks } from './api-checks.ts'
import type { Check } from './check.ts'
import { engineChecks } from './engine-checks.ts'
import { type DoctorParts, Facts } from './facts.ts'
import { type Finding, failed, skipped, type Verdict } from './finding.ts'
import { lmcacheChecks } from './lmcache-checks.ts'
import { proofChecks } from './proof-checks.ts'
import { storageChecks } from './storage-checks.ts'

export interface CheckResult extends Finding {
  readonly id: string
  readonly title: string
  readonly proves: string
  readonly ms: number
}

export interface Diagnosis {
  /** The worst verdict of all checks. */
  readonly verdict: Exclude<Verdict, 'skipped'>
  readonly checks: readonly CheckResult[]
  readonly ms: number
}

export interface DoctorLimits {
  /** Time limits per check and for all checks, milliseconds. */
  readonly checkMs: number
  readonly allMs: number
}

export const checks: readonly Check[] = [
  ...engineChecks,
  ...apiChecks,
  ...lmcacheChecks,
  ...proofChecks,
  ...storageChecks,
]

/** Calls `onResult` after each check. Throws only if `stop` aborts. */
export async function diagnose(
  parts: DoctorParts,
  { checkMs, allMs }: DoctorLimits,
  onResult: (result: CheckResult) => void = () => {},
  stop?: AbortSignal,
): Promise<Diagnosis> {
  const started = performance.now()
  const whole = AbortSignal.any([AbortSignal.timeout(allMs), ...(stop === undefined ? [] : [stop])])
  const facts = new Facts(parts, whole)
  /** Errors by the check that met them first. Later checks that fail for the same reason are skipped. */
  const reportedBy = new Map<unknown, string>()
  const results: CheckResult[] = []
  for (const check of checks) {
    stop?.throwIfAborted()
    const { id, title, proves } = check
    const began = performance.now()
    const finding = whole.aborted
      ? skipped('no time left')
      : await runWithTimeout(check, facts, whole, checkMs, reportedBy)
    const result = { id, title, proves, ...finding, ms: Math.round(performance.now() - began) }
    results.push(result)
    onResult(result)
  }
  return { verdict: worst(results), checks: results, ms: Math.round(performance.now() - started) }
}

async function runWithTimeout(
  check: Check,
  facts: Facts,
  whole: AbortSignal,
  ms: number,
  told: Map<unknown, string>,
): Promise<Finding> {
  const limit = new AbortController()
  const timer = setTimeout(() => limit.abort(), ms)
  facts.signal = AbortSignal.any([whole, limit.signal])
  try {
    return await Promise.race([check.run(facts), rejectOn(facts.signal)])
  } catch (thrown) {
    if (facts.signal.aborted) {
      return failed(
        `no answer within ${ms / 1_000} s`,
        'engine or LMCache hangs or is overloaded: check their logs, then run cwm doctor again',
      )
    }
    const known = told.get(thrown)
    if (known !== undefined) return skipped(`depends on “${known}”, which failed`)
    told.set(thrown, check.title)
    return failed(messageOf(thrown), remedyOf(toCwmError(thrown)))
  } finally {
    clearTimeout(timer)
  }
}

function rejectOn(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = () => reject(signal.reason)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}

function messageOf(thrown: unknown): string {
  const { code, message } = toCwmError(thrown)
  return code === 'INTERNAL' && thrown instanceof Error ? thrown.message : message
}

function remedyOf({ code, refusedWith }: CwmError): string {
  if (code === 'UPSTREAM_REJECTED' && refusedWith === 401)
    return 'set the API key of the engine in CWM_UPSTREAM_API_KEY'
  if (code.startsWith('UPSTREAM_'))
    return 'check that the engine is running, and that --upstream is its base URL without /v1'
  if (code.startsWith('LMCACHE_'))
    return 'check that coordinator and servers are running, and that --coordinator (or --lmcache) is reachable from here'
  return 'see the message'
}

const order: readonly Diagnosis['verdict'][] = ['failed', 'warning', 'ok']

function worst(results: readonly CheckResult[]): Diagnosis['verdict'] {
  return order.find((verdict) => results.some((result) => result.verdict === verdict)) ?? 'ok'
}
