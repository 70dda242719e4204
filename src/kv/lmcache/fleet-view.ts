// Judges what the directory shows for one engine: which chunks its LMCache server can load, and which of them a session keeps if it moves.

import type { VerifiedPlacement } from '../kv.ts'
import type { FoundPlacement, LookupResult } from './lookup.ts'
import type { LmcacheTopology } from './topology.ts'

type Verdict = Pick<VerifiedPlacement, 'warnings' | 'notes'> & { readonly durability: 'l2' | 'l1' }

export class FleetView {
  readonly #topology: Pick<LmcacheTopology, 'servers' | 'sharedL2' | 'expectedServers'>
  readonly #instanceId: string | undefined
  readonly #several: boolean
  readonly #hasL2: boolean

  /** `instanceId`: the server that the engine is attached to. Undefined: unknown, so that all servers count. */
  constructor(
    topology: Pick<LmcacheTopology, 'servers' | 'sharedL2' | 'expectedServers'>,
    instanceId: string | undefined,
  ) {
    this.#topology = topology
    this.#instanceId = instanceId
    // While all others are away, the one that is left is not the only one.
    this.#several = Math.max(topology.servers.length, topology.expectedServers ?? 0) > 1
    this.#hasL2 = topology.servers.some(({ backends }) => backends === null || backends.length > 0)
  }

  /** The chunks that the engine's server can load. */
  loadable(found: LookupResult): LookupResult {
    const own = this.#instanceId
    if (own === undefined) return found
    return found.within((placement) => placement.instance_id === own || this.#sharing(placement) === true)
  }

  /** Whether waiting cannot show a better place. */
  isSettled(found: LookupResult): boolean {
    const { total } = found.counts
    const awaitsShared = !this.#several || [...this.#topology.sharedL2.values()].includes(true)
    if (!this.#hasL2) return this.loadable(found).counts.l1 === total
    return (awaitsShared ? this.#lasting(found) : this.loadable(found)).counts.l2 === total
  }

  /** See `VerifiedPlacement.l2Shared`. */
  isShared(found: LookupResult): boolean | null {
    const { sharedL2 } = this.#topology
    const { total, l2, backends } = this.loadable(found).counts
    if (this.#several && total > 0 && this.#lasting(found).counts.l2 === total) return true
    const holding =
      l2 === total ? Object.keys(backends).map((name) => sharedL2.get(name) ?? null) : [...sharedL2.values()]
    if (holding.length === 0 || holding.includes(null)) return null
    return holding.includes(true)
  }

  /** For a sequence that the engine's server can load as a whole. */
  judge(found: LookupResult): Verdict {
    const { total } = found.counts
    if (this.#lasting(found).counts.l2 === total) return { durability: 'l2', warnings: [], notes: [] }
    if (!this.#hasL2) return { durability: 'l1', warnings: [], notes: [] }
    if (this.loadable(found).counts.l2 !== total) {
      const missing = 'not all chunks were found in L2 by the deadline'
      return {
        durability: 'l1',
        warnings: [this.isShared(found) === true ? `${missing}, in storage that all servers share` : missing],
        notes: [],
      }
    }
    return this.isShared(found) === null
      ? { durability: 'l1', warnings: [unknownSharing], notes: [] }
      : { durability: 'l1', warnings: [], notes: [privateL2] }
  }

  /** The chunks that outlive memory, for whichever engine needs them. */
  #lasting(found: LookupResult): LookupResult {
    return found.within((placement) => placement.tier === 'l2' && (!this.#several || this.#sharing(placement) === true))
  }

  #sharing({ tier, backend, shared }: FoundPlacement): boolean | null {
    if (tier !== 'l2') return false
    return this.#topology.sharedL2.get(backend) ?? (shared === true ? true : null)
  }
}

const unknownSharing =
  'the chunks are in L2, and it is unknown whether the LMCache servers share it: start its adapters with "shared": true, or set l2_shared'
const privateL2 =
  'the chunks are in an L2 that the LMCache servers do not share: they survive a restart of their server, but another engine must compute them again'
