// The coordinator's state: placements from events, pins and quotas from the operator. A restart loses the placements and keeps the rest
// (docs/engine-behavior.md#directory).

import { idOf, type ObjectKey, type PlacementEvent } from './kv-store.ts'

/** Upper bound on keys, pins and quotas each; the oldest are dropped beyond it. Tests and demos stay far below. */
const MAX_ENTRIES = 200_000

export interface Placement {
  readonly instance_id: string
  readonly incarnation: number
  readonly tier: 'l1' | 'l2'
  readonly backend: string
  readonly size_bytes: number
  readonly shared: boolean
}

interface Known {
  readonly key: ObjectKey
  placements: Placement[]
  accesses: number
}

export class Directory {
  readonly #known = new Map<string, Known>()
  readonly #pins = new Map<string, { key: ObjectKey; count: number }>()
  readonly quotas = new Map<string, number>()
  defaultQuotaGb: number | null = null
  readonly #chunkBytes: number
  /** Each server's incarnation number, which a restart increments. */
  readonly #incarnations = new Map<string, number>()

  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes
  }

  apply(instanceId: string, event: PlacementEvent): void {
    const id = idOf(event.key)
    const known = this.#known.get(id) ?? { key: event.key, placements: [], accesses: 0 }
    // A shared pool has one placement, whichever server reports it (key_directory.py, `_find_placement`).
    const others = known.placements.filter(
      (p) =>
        p.shared !== (event.shared ?? false) ||
        (!p.shared && p.instance_id !== instanceId) ||
        p.tier !== event.tier ||
        p.backend !== event.backend,
    )
    known.placements = event.added ? [...others, this.#placement(instanceId, event)] : others
    if (event.added) known.accesses++
    if (known.placements.length === 0) {
      this.#known.delete(id)
    } else {
      this.#known.set(id, known)
      bound(this.#known)
    }
  }

  lookup(key: ObjectKey): { placements: Placement[]; accesses: number } {
    const known = this.#known.get(idOf(key))
    return { placements: known?.placements ?? [], accesses: known?.accesses ?? 0 }
  }

  /** Known keys with the placements that pass the filter; keys without any are omitted. */
  list(keep: (placement: Placement) => boolean): { key: ObjectKey; placements: Placement[]; accesses: number }[] {
    return [...this.#known.values()]
      .map((known) => ({ ...known, placements: known.placements.filter(keep) }))
      .filter((known) => known.placements.length > 0)
  }

  pin(keys: readonly ObjectKey[]): void {
    for (const key of keys) {
      const id = idOf(key)
      this.#pins.set(id, { key, count: (this.#pins.get(id)?.count ?? 0) + 1 })
    }
    bound(this.#pins)
  }

  unpin(keys: readonly ObjectKey[]): void {
    for (const key of keys) {
      const id = idOf(key)
      const count = (this.#pins.get(id)?.count ?? 0) - 1
      if (count > 0) this.#pins.set(id, { key, count })
      else this.#pins.delete(id)
    }
  }

  dropPins(keys: readonly ObjectKey[]): void {
    for (const key of keys) this.#pins.delete(idOf(key))
  }

  pinned(key: ObjectKey): boolean {
    return this.#pins.has(idOf(key))
  }

  pins(): { key: ObjectKey; count: number }[] {
    return [...this.#pins.values()]
  }

  setQuota(salt: string, limitGb: number): void {
    this.quotas.set(salt, limitGb)
    bound(this.quotas)
  }

  /** An LMCache server restarted: its L1 is lost, and its incarnation number increases. */
  instanceRestarted(instanceId: string): void {
    this.#incarnations.set(instanceId, this.#incarnationOf(instanceId) + 1)
    for (const known of this.#known.values()) {
      known.placements = known.placements.filter((p) => p.instance_id !== instanceId || p.tier !== 'l1')
    }
  }

  forgetPlacements(): void {
    this.#known.clear()
  }

  #incarnationOf(instanceId: string): number {
    const known = this.#incarnations.get(instanceId) ?? Math.floor(Date.now() / 1000)
    this.#incarnations.set(instanceId, known)
    return known
  }

  #placement(instanceId: string, { tier, backend, shared = false }: PlacementEvent): Placement {
    return {
      instance_id: instanceId,
      incarnation: this.#incarnationOf(instanceId),
      tier,
      backend,
      size_bytes: this.#chunkBytes,
      shared,
    }
  }
}

function bound(map: Map<string, unknown>): void {
  for (const oldest of map.keys()) {
    if (map.size <= MAX_ENTRIES) return
    map.delete(oldest)
  }
}
