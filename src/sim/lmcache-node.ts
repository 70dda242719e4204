// One LMCache server of the simulated fleet: its instance id, what it holds, its routes, and whether an engine is attached.

import type { PlacementEvent } from './kv-store.ts'
import { KvStore } from './kv-store.ts'
import { lmcacheRoutes } from './lmcache-routes.ts'
import type { SimSettings } from './options.ts'
import { type Answer, findRoute, type Routes } from './routes.ts'

export class LmcacheNode {
  readonly id: string
  readonly store: KvStore
  readonly routes: Routes
  readonly registeredAt = Date.now() / 1000
  /** The engine has allocated its KV here at some time: prefetches know its layout. */
  attached = false
  /** Where it listens and who its coordinator is; set once its socket exists. */
  urls = { lmcache: '', coordinator: '' }

  constructor(settings: SimSettings, id: string, tell: (instanceId: string, events: PlacementEvent[]) => void) {
    this.id = id
    this.store = new KvStore(settings, (events) => tell(id, events))
    this.routes = lmcacheRoutes({ ...settings, instanceId: id }, this)
  }

  get up(): boolean {
    return this.store.up
  }

  /** Calls one of its routes without a socket, as the coordinator does on a client's behalf. */
  async call(method: string, path: string, body: unknown): Promise<Answer> {
    const { handler, params } = findRoute(this.routes, method, path)
    const bytes = Buffer.from(body === undefined ? '' : JSON.stringify(body))
    const signal = new AbortController().signal
    return handler({ method, path, query: new URLSearchParams(), params, headers: {}, body: bytes, signal })
  }
}
