// Runs the checks one after another, each with a timeout. They are not parallel, because the live proofs of an engine share it. Several engines
// are examined at the same time.

import { setMaxListeners } from 'node:events'
import { type CwmError, toCwmError } from '../base/errors.ts'
import { apiChecks } from './api-checks.ts'
import type { Check } from './check.ts'
import { dateChecks } from './date-checks.ts'
import { engineChecks } from './engine-checks.ts'
import { type Facts, factsOfAll, type SharedFacts } from './facts.ts'
import { type Finding, failed, mergeFindings, skipped, type Verdict } from './finding.ts'
import { fleetChecks } from './fleet-checks.ts'
import { fleetLoadChecks, fleetServerChecks } from './fleet-kv-checks.ts'
import { lmcacheChecks } from './lmcache-checks.ts'
import type { DoctorParts } from './parts.ts'
import { deleteChecks, proofChecks, storedChecks } from './proof-checks.ts'
import { sessionChecks } from './session-checks.ts'
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

/** In the order of the report. What one check stores, those after it use, and `delete` removes. */
export const checks: readonly Check[] = [
  ...engineChecks,
  ...apiChecks,
  ...dateChecks,
  ...fleetChecks,
  ...lmcacheChecks,
  ...storedChecks,
  ...fleetServerChecks,
  ...proofChecks,
  ...fleetLoadChecks,
  ...sessionChecks,
  ...deleteChecks,
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
  const shared: SharedFacts = { parts, signal: whole, link: undefined }
  const all = factsOfAll(shared)
  const run: Run = { shared, all, whole, stop, checkMs, reportedBy: new Map() }
  const results: CheckResult[] = []
  for (const check of checks) {
    stop?.throwIfAborted()
    const { id, title, proves } = check
    const began = performance.now()
    const mayRun = !whole.aborted || (check.cleansUp === true && all.some(({ hasProbed }) => hasProbed))
    const finding = mayRun ? await findingOf(check, run) : timeless(check)
    if (finding === undefined) continue
    const result = { id, title, proves, ...finding, ms: Math.round(performance.now() - began) }
    results.push(result)
    onResult(result)
  }
  return { verdict: worst(results), checks: results, ms: Math.round(performance.now() - started) }
}

/** A check that may not concern this deployment is not mentioned if there is no time to see whether it does. */
function timeless({ applies }: Check): Finding | undefined {
  return applies === undefined ? skipped('no time left') : undefined
}

interface Run {
  readonly shared: SharedFacts
  /** Of each engine. */
  readonly all: readonly Facts[]
  readonly whole: AbortSignal
  readonly stop: AbortSignal | undefined
  readonly checkMs: number
  /** Errors by the check that met them first. Later checks that fail for the same reason are skipped. */
  readonly reportedBy: Map<unknown, string>
}

/** Undefined if the check does not concern this deployment. */
async function findingOf(check: Check, run: Run): Promise<Finding | undefined> {
  const { shared, all, whole, stop, checkMs } = run
  const limit = new AbortController()
  const timer = setTimeout(() => limit.abort(), checkMs)
  // Cleaning up has its own time when all other time is over.
  const ends = whole.aborted ? stop : whole
  shared.signal = AbortSignal.any([limit.signal, ...(ends === undefined ? [] : [ends])])
  // Several engines are asked at once, each with several calls.
  setMaxListeners(0, shared.signal)
  try {
    const [first] = all
    if (first === undefined || (await applies(check, first)) === false) return undefined
    if (check.scope !== 'each') return await runOn(check, first, run)
    const engines = all.map(async (facts) => ({ name: facts.engine.name, finding: await runOn(check, facts, run) }))
    return mergeFindings(await Promise.all(engines))
  } finally {
    clearTimeout(timer)
  }
}

async function applies(check: Check, facts: Facts): Promise<boolean> {
  if (check.applies === undefined) return true
  return await Promise.race([check.applies(facts), rejectOn(facts.signal)]).catch(() => false)
}

/** Runs a check with the facts of one engine. Never throws. */
async function runOn(check: Check, facts: Facts, { checkMs, reportedBy }: Run): Promise<Finding> {
  try {
    return await Promise.race([check.run(facts), rejectOn(facts.signal)])
  } catch (thrown) {
    if (facts.signal.aborted) {
      return failed(
        `no answer within ${checkMs / 1_000} s`,
        'engine or LMCache hangs or is overloaded: check their logs, then run cwm doctor again',
      )
    }
    const known = reportedBy.get(thrown)
    if (known !== undefined) return skipped(`depends on “${known}”, which failed`)
    reportedBy.set(thrown, check.title)
    return failed(messageOf(thrown), remedyOf(toCwmError(thrown)))
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
