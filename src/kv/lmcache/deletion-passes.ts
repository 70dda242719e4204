// The passes of one deletion: delete everything everywhere, then ask the directory and the servers what is left.

import { setTimeout as delay } from 'node:timers/promises'
import { CwmError } from '../../base/errors.ts'
import { type DeleteOutcome, deleteKeys } from './delete-keys.ts'
import type { DeletionPlan } from './deletion-plan.ts'
import type { Fleet, FleetServer } from './fleet.ts'
import type { Endpoint } from './http.ts'
import { chunkId, findPlaced, keyId, type ObjectKey, type PlacedKey } from './keys.ts'
import { type Probe, probeKeys } from './residue.ts'
import { answerOrFailure } from './server-facts.ts'

/** The directory learns from events, once a second. An entry whose object was lost earlier never leaves it (seen on fs and resp). */
const settleMs = 2_500
const settlePollMs = 100
/** Attempts of one pass, and the delay between them. */
const attempts = 3
const retryMs = 250

/** The result of one pass. */
export interface PassResult {
  /** Chunks known to exist. */
  readonly residual: number
  /** Not every server could be asked. */
  readonly unsure: boolean
  readonly words: readonly string[]
  /** Another pass may delete more. */
  readonly again: boolean
}

/** One running deletion; passes may be repeated. */
export class DeletionRun {
  readonly #fleet: Fleet & { readonly coordinator: Endpoint }
  readonly #plan: DeletionPlan
  readonly #keys: readonly ObjectKey[]
  readonly #remainingMs: () => number
  readonly #signal: AbortSignal | undefined
  readonly #keysPerChunk: number
  /** Keys that a prefetch can ask for. Keys found only by a scan have no token ids. */
  readonly #probable: ReadonlySet<string>

  constructor(
    fleet: Fleet & { readonly coordinator: Endpoint },
    doomed: DeletionPlan,
    left: () => number,
    signal: AbortSignal | undefined,
  ) {
    this.#fleet = fleet
    this.#plan = doomed
    this.#keys = doomed.keys.map(({ key }) => key)
    this.#remainingMs = left
    this.#signal = signal
    this.#probable = new Set(doomed.sequences.flatMap(({ keys }) => keys.map(keyId)))
    this.#learnSizes()
    this.#keysPerChunk = this.#keys.length / new Set(this.#keys.map(chunkId)).size
  }

  /** Deletes chunks that a probe finds although the directory, which forgets, does not show them: docs/engine-behavior.md#directory. */
  async findHidden(): Promise<number> {
    const shown = new Set(this.#plan.keys.filter((k) => k.placements.length > 0).map(({ key }) => keyId(key)))
    const hidden = this.#plan.sequences.filter(({ keys }) => keys.some((key) => !shown.has(keyId(key))))
    const unseen = this.#keys.filter((key) => !shown.has(keyId(key)))
    let found = 0
    for (const probe of hidden) {
      const keys = probe.keys.filter((key) => !shown.has(keyId(key)))
      for (const server of this.#probersOf(probe.sequence.keys.engineName)) {
        found += (await this.#probe(server, { ...probe, keys })) ?? 0
      }
    }
    return Math.min(Math.ceil(found / this.#keysPerChunk), Math.ceil(unseen.length / this.#keysPerChunk))
  }

  /** Deletes everything once, everywhere, and counts what is left. */
  async pass(): Promise<PassResult> {
    const { locked, failures, warnings } = await this.#deleteAll()
    const answer = await answerOrFailure(this.#settled(), this.#signal)
    const blind = answer instanceof CwmError
    const shown = blind ? [] : answer
    const { found, asked, clean } = await this.#probeAll()
    const plausible = shown.filter((placed) => !this.#refuted(placed, clean))
    const chunks = Math.ceil(Math.max(found, locked) / this.#keysPerChunk)
    const residual = Math.max(new Set(plausible.map(({ key }) => chunkId(key))).size, chunks)
    const words = [
      ...warnings,
      ...failures,
      ...(blind ? [answer.message] : []),
      ...(asked || found > 0
        ? []
        : ['no LMCache server could report what is left: its memory is too full, or it failed']),
      ...(locked > 0 ? [`${locked} keys are in use by a store or a load`] : []),
      ...(found > 0 ? [`an L2 adapter still had ${found} keys after they were deleted from it`] : []),
      ...placementWarnings(plausible),
      ...(plausible.some(({ key }) => !this.#probable.has(keyId(key)))
        ? [
            'no server can be asked about keys that only the directory names: they may have been lost earlier, without an event',
          ]
        : []),
    ]
    const unsure = failures.length > 0 || blind || !asked
    return { residual, unsure, words, again: found > 0 }
  }

  /** `clean`: servers that have none of the keys they could be asked for. */
  async #probeAll(): Promise<{ found: number; asked: boolean; clean: ReadonlySet<string | undefined> }> {
    const clean = new Set(this.#fleet.servers.map(({ instanceId }) => instanceId))
    let found = 0
    let asked = true
    for (const probe of this.#plan.sequences) {
      const probers = this.#probersOf(probe.sequence.keys.engineName)
      if (probers.length === 0) asked = false
      for (const server of probers) {
        const count = await this.#probe(server, probe)
        if (count === null) asked = false
        if (count !== 0) clean.delete(server.instanceId)
        found += count ?? 0
      }
    }
    return { found, asked, clean }
  }

  /** Retries, because a lock or a failure may clear within a moment. */
  async #deleteAll(): Promise<DeleteOutcome> {
    for (let attempt = 1; ; attempt++) {
      const outcome = await deleteKeys(this.#fleet, this.#keys, this.#signal)
      const done = outcome.locked === 0 && outcome.failures.length === 0
      if (done || attempt === attempts || this.#remainingMs() < retryMs) return outcome
      await this.#pause(retryMs)
    }
  }

  /** All whole chunks of an engine have one size; a later sequence updates it after a change of dtype. */
  #learnSizes(): void {
    for (const { key, placements } of this.#plan.keys) {
      const size = Math.max(0, ...placements.map(({ sizeBytes }) => sizeBytes))
      if (size > 0) this.#fleet.keyBytes.set(key.engineName, size)
    }
  }

  /** A server can only load an engine's chunks if that engine is attached. */
  #probersOf(engineName: string): FleetServer[] {
    return this.#fleet.servers.filter(
      (s) => s.reachable && s.engines.some((engine) => engine.engineName === engineName),
    )
  }

  async #probe(server: FleetServer, probe: Probe): Promise<number | null> {
    // The last pass may start at the deadline; its proof is worth a little more time.
    const deadlineMs = Math.max(this.#remainingMs(), settleMs)
    return probe.keys.length === 0
      ? 0
      : probeKeys(server, probe, { deadlineMs, keyBytes: this.#fleet.keyBytes, signal: this.#signal })
  }

  /** The directory's entries, once there are none left or they stop changing. */
  async #settled(): Promise<readonly PlacedKey[]> {
    const endsAt = performance.now() + Math.min(settleMs, this.#remainingMs())
    for (;;) {
      const shown = await findPlaced(this.#fleet.coordinator, this.#keys, this.#signal)
      if (shown.length === 0 || performance.now() >= endsAt) return shown
      await this.#pause(settlePollMs)
    }
  }

  #pause(ms: number): Promise<void> {
    return delay(ms, undefined, this.#signal === undefined ? {} : { signal: this.#signal })
  }

  /** Whether the server contradicts a directory entry: the object was lost earlier, and no event reported it. */
  #refuted({ key, placements }: PlacedKey, clean: ReadonlySet<string | undefined>): boolean {
    if (!this.#probable.has(keyId(key))) return false
    const probers = new Set(this.#probersOf(key.engineName).map(({ instanceId }) => instanceId))
    return placements.every(({ instanceId }) => probers.has(instanceId) && clean.has(instanceId))
  }
}

function placementWarnings(shown: readonly PlacedKey[]): string[] {
  const places = shown.flatMap(({ placements }) => placements.map((p) => `${p.instanceId} ${p.tier} ${p.backend}`))
  const counts = new Map<string, number>()
  for (const place of places) counts.set(place, (counts.get(place) ?? 0) + 1)
  return [...counts].map(([place, count]) => `the directory still shows ${count} keys in ${place}`)
}
