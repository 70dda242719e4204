// One LMCache server of the simulated fleet: its instance id, what it holds, and whether an engine is attached.

import { KvStore, type PlacementEvent } from './kv-store.ts'
import type { SimSettings } from './options.ts'

export class LmcacheNode {
  readonly id: string
  readonly store: KvStore
  readonly registeredAt = Date.now() / 1000
  /** The engine has allocated its KV here at some time: prefetches know its layout. */
  attached = false
  /** Where it listens and who its coordinator is; set once its socket exists. */
  urls = { lmcache: '', coordinator: '' }

  constructor(settings: SimSettings, id: string, tell: (instanceId: string, events: PlacementEvent[]) => void) {
    this.id = id
    this.store = new KvStore(settings, (events) => tell(id, events))
  }

  get up(): boolean {
    return this.store.up
  }
}
