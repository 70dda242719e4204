// One LMCache server of the simulated fleet: its instance id, its contents, and whether an engine is attached.

import { KvStore, type L2Storage, type PlacementEvent } from './kv-store.ts'
import type { SimSettings } from './options.ts'

export class LmcacheNode {
  readonly id: string
  readonly store: KvStore
  readonly registeredAt = Date.now() / 1000
  /** Whether the engine has ever allocated its KV here. Prefetches need its layout. */
  attached = false
  /** Its own address and its coordinator's; set once the sockets exist. */
  urls = { lmcache: '', coordinator: '' }

  constructor(
    settings: SimSettings,
    id: string,
    report: (instanceId: string, events: PlacementEvent[]) => void,
    shared: ReadonlyMap<string, L2Storage>,
  ) {
    this.id = id
    this.store = new KvStore(settings, (events) => report(id, events), shared)
    this.store.up = settings.lmcache
  }

  get up(): boolean {
    return this.store.up
  }
}
