// Keeps idle engines registered with their LMCache servers. A server forgets an engine whose worker has not stored or loaded a chunk within an
// hour of its start (docs/engine-behavior.md#idle-engines). The engine may hang at its next chunk. So cwm calls each engine at intervals.

import type { Now } from '../base/clock.ts'
import { toCwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { EngineFleet, FleetMember } from '../engines/fleet.ts'
import type { KvBackend } from '../kv/kv.ts'
import type { Store } from '../store/store.ts'
import { leaseKeys } from './lease.ts'

export interface KeepAwakeParts {
  readonly fleet: Pick<EngineFleet, 'members'>
  readonly kv: Pick<KvBackend, 'open'>
  readonly store: Pick<Store, 'acquireLease'>
  readonly metrics: Pick<Metrics, 'keepAwakes'>
  readonly log: Logger
  readonly now: Now
  /** Used by these calls only, and never changed, so that all of them leave one chunk. It has neither quota nor lineage. */
  readonly salt: string
  /** Between two calls to one engine, milliseconds. */
  readonly intervalMs: number
  readonly apiKey: () => string | undefined
}

/** `skipped`: LMCache does not answer or does not list the engine, so a call might hang it; or its context limit is below one chunk. */
type Outcome = 'done' | 'skipped' | 'failed'

/** Runs per interval. When the proxy with the lease stops, another takes over within one run after the lease has expired. */
const RUNS = 4
const CALL_MS = 60_000
/** Token ids that every vocabulary has. The first ones are left out, because they are special tokens. */
const FIRST_ID = 32
const IDS = 64

export class KeepAwake {
  readonly #parts: KeepAwakeParts
  /** When this process last called each engine. Bounded by the engines of the fleet. */
  readonly #calledAt = new Map<string, number>()

  constructor(parts: KeepAwakeParts) {
    this.#parts = parts
  }

  /** How often `run` is to be called, milliseconds. */
  get everyMs(): number {
    return Math.max(1, Math.floor(this.#parts.intervalMs / RUNS))
  }

  /**
   * Calls the engines that are due. Traffic does not postpone a call, because LMCache ignores requests below one chunk. A call whose chunk is
   * cached costs next to nothing. Never rejects.
   */
  async run(signal: AbortSignal): Promise<void> {
    const members = this.#parts.fleet.members()
    for (const id of this.#calledAt.keys()) if (!members.some((member) => member.id === id)) this.#calledAt.delete(id)
    await Promise.all(members.map((member) => this.#visit(member, signal)))
  }

  async #visit(member: FleetMember, signal: AbortSignal): Promise<void> {
    const { now, metrics, intervalMs } = this.#parts
    if (member.state === 'down' || !(await this.#isOurs(member.id))) return
    const since = now() - (this.#calledAt.get(member.id) ?? Number.NEGATIVE_INFINITY)
    if (since < intervalMs - this.everyMs / 2) return // timers are not exact
    this.#calledAt.set(member.id, now())
    const outcome = await this.#call(member, signal)
    if (!signal.aborted) metrics.keepAwakes.inc({ outcome })
  }

  /** Whether this proxy calls the engine: only the holder of its lease does, and renews it with each run. Without the store, every proxy does. */
  async #isOurs(id: string): Promise<boolean> {
    const { store, intervalMs } = this.#parts
    try {
      return await store.acquireLease(leaseKeys.awake(id), intervalMs)
    } catch {
      return true
    }
  }

  async #call({ id, engine, kvServer }: FleetMember, signal: AbortSignal): Promise<Outcome> {
    const { kv, log, salt, apiKey } = this.#parts
    const key = apiKey()
    try {
      const link = await kv.open()
      // vLLM lists its base model before its adapters.
      const model = (await engine.models.list(key)).at(0)
      const handle = model && link?.plan(model.engineName, 1, kvServer)
      if (link === undefined || model === undefined || handle === undefined) {
        log.warn(
          { engine: id },
          'keep-awake request skipped: LMCache does not answer or does not list the engine, or the engine lists no model (setting keep_awake_ms)',
        )
        return 'skipped'
      }
      // One token more than a chunk, because the engine always computes the last token of a prompt.
      const tokens = link.extentOf(handle, 1).chunkSize + 1
      if (model.limit !== undefined && model.limit <= tokens) return 'skipped'
      const tokenIds = Uint32Array.from({ length: tokens }, (_, n) => FIRST_ID + (n % IDS))
      const limited = AbortSignal.any([signal, AbortSignal.timeout(CALL_MS)])
      await engine.warm({ model: model.id, tokenIds, salt }, { apiKey: key, signal: limited })
      return 'done'
    } catch (thrown) {
      if (!signal.aborted) {
        log.warn({ engine: id, err: toCwmError(thrown) }, 'keep-awake request failed (setting keep_awake_ms)')
      }
      return 'failed'
    }
  }
}
