// Deletes chunks from a whole fleet and proves it: name the keys, delete them everywhere, ask directory and servers what is
// left, and again while there is time. What the engine itself holds in its own cache is not reached from here.

import { setTimeout as delay } from 'node:timers/promises'
import { CwmError } from '../base/errors.ts'
import { deleteFromL1, deleteKeys } from './delete-keys.ts'
import { type DeleteRequest, type Doomed, findDoomed } from './doomed.ts'
import type { Fleet, FleetServer } from './fleet.ts'
import type { Endpoint } from './http.ts'
import { chunkId, findPlaced, keyId, type ObjectKey, type PlacedKey } from './keys.ts'
import { type Probe, probeKeys } from './residue.ts'
import { countChunks } from './sequence.ts'
import { failureOr } from './server-facts.ts'

export interface DeleteOptions {
  /** For everything but naming the keys, milliseconds. A pass that has begun is finished. */
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
}

export interface DeleteResult {
  /** Distinct chunks that had a placement, or that a probe found, and are gone. */
  readonly deletedChunks: number
  /** Chunks known to be there still: at least so many. Null: none is known, and not everybody could be asked. */
  readonly residualChunks: number | null
  /** Chunks of the sequences that stay for others. */
  readonly keptChunks: number
  /** What fell short, in words for an operator; without salts. */
  readonly warnings: readonly string[]
}

/** The directory learns by events, once a second; an entry whose object was lost before never leaves it (seen on fs and resp). */
const settleMs = 2_500
const settlePollMs = 100
const passes = 3

/** See `LmcacheClient.deleteChunks`. */
export async function deleteChunks(
  fleet: Fleet,
  request: DeleteRequest,
  { deadlineMs, signal }: DeleteOptions,
): Promise<DeleteResult> {
  const { coordinator } = fleet
  if (coordinator === undefined) return nobodyNames(request)
  const doomed = await findDoomed(coordinator, request, signal)
  const scanned = doomed.complete ? [] : ['the directory could not be read whole: chunks of edited turns may be left']
  if (doomed.keys.length === 0) {
    return { ...nothing, keptChunks: doomed.keptChunks, residualChunks: doomed.complete ? 0 : null, warnings: scanned }
  }
  const endsAt = performance.now() + deadlineMs
  const left = () => Math.max(0, endsAt - performance.now())
  const work = new Deletion({ ...fleet, coordinator }, doomed, left, signal)
  const hidden = await work.findHidden()
  const warnings = new Set(scanned)
  for (let pass = 1; ; pass++) {
    const { residual, unsure, words, again } = await work.pass()
    if (again && pass < passes && left() > 0) continue
    for (const word of words) warnings.add(word)
    const before = new Set(doomed.keys.filter(({ placements }) => placements.length > 0).map(({ key }) => chunkId(key)))
    return {
      deletedChunks: Math.max(0, before.size + hidden - residual),
      residualChunks: residual === 0 && (unsure || !doomed.complete) ? null : residual,
      keptChunks: doomed.keptChunks,
      warnings: [...warnings],
    }
  }
}

const nothing = { deletedChunks: 0, residualChunks: 0, keptChunks: 0 } as const

function nobodyNames({ sequences, salts }: DeleteRequest): DeleteResult {
  const asked = sequences.some(({ sequence, from }) => countChunks(sequence) > from) || (salts?.size ?? 0) > 0
  if (!asked) return { ...nothing, warnings: [] }
  return {
    ...nothing,
    residualChunks: null,
    warnings: ['LMCache has no coordinator, so nobody can name its chunks: nothing was deleted from it'],
  }
}

interface Pass {
  readonly residual: number
  readonly unsure: boolean
  readonly words: readonly string[]
  /** Another pass may do better. */
  readonly again: boolean
}

/** One delete on its way. */
class Deletion {
  readonly #fleet: Fleet & { readonly coordinator: Endpoint }
  readonly #doomed: Doomed
  readonly #keys: readonly ObjectKey[]
  readonly #left: () => number
  readonly #signal: AbortSignal | undefined
  readonly #keysPerChunk: number

  constructor(
    fleet: Fleet & { readonly coordinator: Endpoint },
    doomed: Doomed,
    left: () => number,
    signal: AbortSignal | undefined,
  ) {
    this.#fleet = fleet
    this.#doomed = doomed
    this.#keys = doomed.keys.map(({ key }) => key)
    this.#left = left
    this.#signal = signal
    this.#learnSizes()
    this.#keysPerChunk = this.#keys.length / new Set(this.#keys.map(chunkId)).size
  }

  /** Chunks that the directory does not show and a probe finds: it forgets on a restart (trap 9). They go with that. */
  async findHidden(): Promise<number> {
    const shown = new Set(this.#doomed.keys.filter((k) => k.placements.length > 0).map(({ key }) => keyId(key)))
    const hidden = this.#probes().filter(({ keys }) => keys.some((key) => !shown.has(keyId(key))))
    const unseen = this.#keys.filter((key) => !shown.has(keyId(key)))
    let found = 0
    for (const server of this.#probed()) {
      const already = await failureOr(deleteFromL1(server, unseen, this.#signal), this.#signal)
      if (!(already instanceof CwmError)) found += already.removed
      for (const probe of hidden) {
        const keys = probe.keys.filter((key) => !shown.has(keyId(key)))
        found += (await this.#probe(server, { ...probe, keys })) ?? 0
      }
    }
    return Math.min(Math.ceil(found / this.#keysPerChunk), Math.ceil(unseen.length / this.#keysPerChunk))
  }

  /** Deletes everything once, everywhere, and counts what is left. */
  async pass(): Promise<Pass> {
    const { locked, failures, warnings } = await deleteKeys(this.#fleet, this.#keys, this.#signal)
    const answer = await failureOr(this.#settled(), this.#signal)
    const blind = answer instanceof CwmError
    const shown = blind ? [] : answer
    const probes = this.#probes()
    const servers = this.#probed()
    const clean = new Set<FleetServer>()
    let found = 0
    for (const server of servers) {
      const counts = []
      for (const probe of probes) counts.push(await this.#probe(server, probe))
      found += counts.reduce<number>((sum, count) => sum + (count ?? 0), 0)
      if (counts.every((count) => count === 0)) clean.add(server)
    }
    const probable = new Set(probes.flatMap(({ keys }) => keys.map(keyId)))
    const believed = shown.filter((placed) => !this.#refuted(placed, clean, probable))
    const asked = probes.length === 0 || (servers.length > 0 && clean.size === servers.length)
    const chunks = Math.ceil(Math.max(found, locked) / this.#keysPerChunk)
    const residual = Math.max(new Set(believed.map(({ key }) => chunkId(key))).size, chunks)
    const words = [
      ...warnings,
      ...failures,
      ...(blind ? [answer.message] : []),
      ...(asked || found > 0
        ? []
        : ['no LMCache server could be asked what is left: its memory is too full, or it failed']),
      ...(locked > 0 ? [`${locked} keys are in use by a store or a load`] : []),
      ...(found > 0 ? [`an L2 adapter still had ${found} keys after they were deleted from it`] : []),
      ...whereabouts(believed),
    ]
    const unsure = failures.length > 0 || blind || !asked
    return { residual, unsure, words, again: found > 0 || locked > 0 || failures.length > 0 }
  }

  #probes(): Probe[] {
    return this.#doomed.sequences.map(({ sequence, keys }) => ({
      sequence,
      keys,
      keyBytes: this.#fleet.keyBytes.get(sequence.keys.engineName) ?? 0,
    }))
  }

  /** All whole chunks of one engine are of one size; a changed dtype is told by the next that is seen. */
  #learnSizes(): void {
    for (const { key, placements } of this.#doomed.keys) {
      const size = Math.max(0, ...placements.map(({ sizeBytes }) => sizeBytes))
      if (size > 0) this.#fleet.keyBytes.set(key.engineName, size)
    }
  }

  /** Only where an engine is attached does a server know how to load its chunks. */
  #probed(): FleetServer[] {
    const names = new Set(this.#doomed.sequences.map(({ sequence }) => sequence.keys.engineName))
    return this.#fleet.servers.filter((s) => s.reachable && s.engines.some(({ engineName }) => names.has(engineName)))
  }

  async #probe(server: FleetServer, probe: Probe): Promise<number | null> {
    // The last pass may begin at the deadline; its proof is worth a moment more.
    const deadlineMs = Math.max(this.#left(), settleMs)
    return probe.keys.length === 0 ? 0 : probeKeys(server, probe, { deadlineMs, signal: this.#signal })
  }

  /** What the directory shows once it shows nothing, or will not change any more. */
  async #settled(): Promise<readonly PlacedKey[]> {
    const endsAt = performance.now() + settleMs
    for (;;) {
      const shown = await findPlaced(this.#fleet.coordinator, this.#keys, this.#signal)
      if (shown.length === 0 || performance.now() >= endsAt) return shown
      await delay(settlePollMs, undefined, this.#signal === undefined ? {} : { signal: this.#signal })
    }
  }

  /** An entry of the directory that the server itself contradicts: the object was lost before, and no event told of it. */
  #refuted({ key, placements }: PlacedKey, clean: ReadonlySet<FleetServer>, probable: ReadonlySet<string>): boolean {
    if (!probable.has(keyId(key))) return false
    const ids = new Set([...clean].map(({ instanceId }) => instanceId))
    return placements.every(({ instanceId }) => ids.has(instanceId))
  }
}

function whereabouts(shown: readonly PlacedKey[]): string[] {
  const places = shown.flatMap(({ placements }) => placements.map((p) => `${p.instanceId} ${p.tier} ${p.backend}`))
  const counts = new Map<string, number>()
  for (const place of places) counts.set(place, (counts.get(place) ?? 0) + 1)
  return [...counts].map(([place, count]) => `the directory still shows ${count} keys in ${place}`)
}
