// The part of the services that runs turns, and what watches over the context limit.

import { Admission, type AdmissionOptions } from '../admission/admission.ts'
import { AnswerBudget } from '../admission/answer-budget.ts'
import { ArrivingBodies } from '../admission/arriving-bodies.ts'
import { BodyBudget } from '../admission/body-budget.ts'
import { JsonBodies } from '../base/json-bodies.ts'
import type { Settings } from '../config/schema.ts'
import { TokenScales } from '../engines/token-scale.ts'
import { IsolationPrice } from '../ledger/isolation-price.ts'
import { AutoBudget } from '../near-limit/auto-budget.ts'
import { AutoFreezer } from '../near-limit/auto-freeze.ts'
import { AutoFreezeRunner } from '../near-limit/auto-freeze-runner.ts'
import { BlockScales } from '../near-limit/block-scales.ts'
import { CutFreezer } from '../near-limit/cut-freeze.ts'
import { KnownSizes } from '../near-limit/known-sizes.ts'
import { TurnLimits } from '../near-limit/turn-limits.ts'
import { BreakFinder } from '../prefix-break/break-finder.ts'
import { TurnRunner } from '../turn/runner.ts'
import { StatelessRunner } from '../turn/stateless-runner.ts'
import { StoredResponses } from '../turn/stored-responses.ts'
import { ThawCheck } from '../turn/thaw-check.ts'
import { AutoThaw } from '../windows/auto-thaw.ts'
import { type Core, sharesOf } from './core.ts'
import type { Start } from './start.ts'
import { turnObservers } from './turn-observers.ts'

export interface Turns {
  readonly admission: Admission
  readonly bodies: BodyBudget
  readonly arriving: ArrivingBodies
  readonly answerBytes: AnswerBudget
  readonly json: JsonBodies
  readonly responses: StoredResponses
  readonly freezes: AutoFreezeRunner
  readonly runner: TurnRunner
  readonly stateless: StatelessRunner
}

/** LMCache normally answers within a tenth of a second. */
const AUTO_THAW_WAIT_MS = 2_000

export function createTurns(start: Start, core: Core): Turns {
  const { settings, memory, metrics } = start
  const json = new JsonBodies({
    maxValues: settings.max_body_values,
    maxMembers: settings.max_object_members,
    maxMessages: settings.max_messages,
  })
  const responses = new StoredResponses(core.sessions, core.fleet)
  const nearLimit = createNearLimit(start, core)
  return {
    admission: createAdmission(start),
    bodies: new BodyBudget(memory.max_body_bytes_in_all, metrics),
    answerBytes: new AnswerBudget(memory.max_observed_bytes_in_all, metrics),
    arriving: new ArrivingBodies({
      graceMs: settings.body_grace_ms,
      minBytesPerSecond: settings.min_body_bytes_per_second,
    }),
    json,
    responses,
    freezes: nearLimit.freezes,
    runner: createRunner(start, core, nearLimit, { json, responses }),
    stateless: createStateless(start, core, json),
  }
}

function createAdmission({ live, metrics, now }: Start): Admission {
  const limitsOf = ({ max_in_flight, max_queued, queue_ms }: Settings): AdmissionOptions => ({
    maxInFlight: max_in_flight,
    maxQueued: max_queued,
    queueMs: queue_ms,
  })
  const admission = new Admission(limitsOf(live.current), metrics, now)
  live.onReload((settings) => admission.update(limitsOf(settings)))
  return admission
}

function createStateless({ settings }: Start, core: Core, json: JsonBodies): StatelessRunner {
  const { fleet, quotas, windowParts, deriver, requestLineages } = core
  return new StatelessRunner({
    fleet,
    lineages: requestLineages,
    json,
    quotas,
    kvEpoch: settings.kv_epoch,
    saltOf: windowParts.saltOf,
    engineSessionOf: (tenant, lineage) => deriver.engineSession(tenant, lineage),
  })
}

function createNearLimit(start: Start, core: Core) {
  const { store, windows, freezeSlots, deletions, sessions, retained, events } = core
  const { settings, memory, metrics, log, now } = start
  const budget = new AutoBudget({ store, deletions, log })
  const freezes = new AutoFreezeRunner({ windows, budget, sessions, metrics, log })
  const cutFreezer = new CutFreezer({ freezes, freezeSlots, windows, retained, store, events, metrics, log, now })
  const sizes = new KnownSizes(sharesOf(memory.tracking_bytes).sizes)
  return {
    freezes,
    sizes,
    autoFreezer: new AutoFreezer({ freezes, freezeSlots, windows, now, cooldownMs: settings.freeze_cooldown_ms }),
    limits: new TurnLimits({ sizes, scales: new TokenScales(), blocks: new BlockScales(now), cutFreezer, metrics }),
  }
}

function createRunner(
  start: Start,
  core: Core,
  nearLimit: ReturnType<typeof createNearLimit>,
  { json, responses }: Pick<Turns, 'json' | 'responses'>,
): TurnRunner {
  const { settings, metrics, log, now, closers } = start
  const { sessions, newest, retained, events, timeline, calls, windows, windowParts, deriver, fleet, quotas } = core
  const { freezeSlots, ledger } = core
  const { sizes, limits, autoFreezer } = nearLimit
  const breaks = new BreakFinder({ retained, newest, sessions, events, log, metrics, now })
  closers.add(() => breaks.settle())
  const behindRouter = core.affinityHeaders !== undefined
  const thawCheck = new ThawCheck({ behindRouter, events, log, metrics, now })
  const isolationPrice = new IsolationPrice({ ledger, now })
  const thawing = { windows, metrics, log, now, afterMs: settings.thaw_after_ms, waitMs: AUTO_THAW_WAIT_MS }
  return new TurnRunner({
    sessions,
    responses,
    windows,
    freezeSlots,
    fleet,
    json,
    quotas,
    kvEpoch: settings.kv_epoch,
    saltOf: windowParts.saltOf,
    engineSessionOf: (tenant, lineage) => deriver.engineSession(tenant, lineage),
    limits,
    autoThaw: new AutoThaw(thawing),
    observers: turnObservers({ timeline, calls, sizes, breaks, retained, autoFreezer, thawCheck, isolationPrice }),
    events,
    metrics,
    log,
    now,
  })
}
