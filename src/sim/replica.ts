// One engine of the simulated fleet with its LMCache server, or an LMCache server alone.

import { Engine } from './engine.ts'
import { engineRoutes } from './engine-routes.ts'
import type { L2Storage, PlacementEvent } from './kv-store.ts'
import { LmcacheNode } from './lmcache-node.ts'
import { lmcacheRoutes } from './lmcache-routes.ts'
import { type SimSettings, settingsOfEngine } from './options.ts'
import { PrefixCache } from './prefix-cache.ts'
import type { EngineName, LmcacheName } from './request-log.ts'
import type { Routes } from './routes.ts'
import type { Script } from './script.ts'

export interface ReplicaOptions {
  readonly settings: SimSettings
  /** From 0. Those from `settings.engines` on have no engine. */
  readonly index: number
  readonly script: Script
  readonly report: (instanceId: string, events: PlacementEvent[]) => void
  /** The storage that all servers share, by adapter type. */
  readonly shared: ReadonlyMap<string, L2Storage>
}

export class Replica {
  readonly engineName: EngineName
  readonly lmcacheName: LmcacheName
  readonly node: LmcacheNode
  readonly lmcacheRoutes: Routes
  readonly engineRoutes: Routes
  readonly engine: Engine
  readonly hasEngine: boolean
  readonly #cache: PrefixCache

  constructor({ settings: common, index, script, report, shared }: ReplicaOptions) {
    const settings = settingsOfEngine(common, index)
    this.engineName = index === 0 ? 'engine' : `engine-${index + 1}`
    this.lmcacheName = index === 0 ? 'lmcache' : `lmcache-${index + 1}`
    this.hasEngine = index < common.engines
    this.node = new LmcacheNode(settings, index === 0 ? settings.instanceId : nodeName(index), report, shared)
    this.node.attached = this.hasEngine && settings.connector === 'multiprocess'
    this.lmcacheRoutes = lmcacheRoutes(settings, this.node)
    this.#cache = new PrefixCache(settings.blockSize, settings.cacheBlocks)
    this.engine = new Engine(settings, this.#cache, this.node.store)
    this.engineRoutes = engineRoutes({ settings, script, engine: this.engine }, () => this.forgetEngine())
  }

  /** Empties the engine's own cache, as its restart does. */
  forgetEngine(): void {
    this.#cache.clear()
  }

  /** Empties what its LMCache server keeps in memory. */
  forgetLmcache(): void {
    this.node.store.clearL1()
    this.node.store.quotas.clear()
  }
}

const nodeName = (index: number): string => `node-${String.fromCharCode('a'.charCodeAt(0) + index)}`
