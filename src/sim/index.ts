// A simulated vLLM with LMCache and its coordinator, over real sockets: for `cwm demo`, and for tests that need speed or faults.
// test/contracts/engine compares its answers with the real servers'.

import { coordinatorRoutes } from './coordinator-routes.ts'
import { Directory } from './directory.ts'
import { Engine } from './engine.ts'
import { engineRoutes } from './engine-routes.ts'
import { type Fault, Faults } from './faults.ts'
import { HttpServer } from './http-server.ts'
import { idOf, type PlacementEvent } from './kv-store.ts'
import { LmcacheNode } from './lmcache-node.ts'
import { lmcacheRoutes } from './lmcache-routes.ts'
import { type SimOptions, type SimSettings, settingsOf } from './options.ts'
import { PrefixCache } from './prefix-cache.ts'
import { RequestLog, type ServerName } from './request-log.ts'
import type { Routes } from './routes.ts'
import { Script, type ScriptedReply } from './script.ts'
import { wait } from './wait.ts'

export type { Fault, FaultAction } from './faults.ts'
export type { SimAdapter, SimOptions } from './options.ts'
export type { LoggedRequest, RequestLog, ServerName } from './request-log.ts'
export type { ScriptedCall, ScriptedReply } from './script.ts'

export interface Restart {
  /** Milliseconds during which connections are refused; default 0. */
  readonly downMs?: number
}

/** A running simulated stack. */
export interface Sim {
  readonly engineUrl: string
  readonly lmcacheUrl: string
  /** URL of the second LMCache server, which only listens if `servers` is 2. */
  readonly secondLmcacheUrl: string
  readonly coordinatorUrl: string
  /** Served name of the model. */
  readonly model: string
  /** The engine's own name of the model: `model_name` in LMCache's keys. */
  readonly root: string
  readonly settings: SimSettings
  /** The received requests, newest last; limited in number. */
  readonly requests: RequestLog
  /** Queues a reply for the next suitable turn. A reply with tool calls waits for a request that offers tools. */
  script(reply: ScriptedReply): void
  /** Injects a fault and returns a function that removes it. */
  fault(fault: Fault): () => void
  clearFaults(): void
  /** Takes a server down (connections are refused, open ones closed) or up again on the same port. It keeps its data. */
  setOnline(server: ServerName, up: boolean): Promise<void>
  /** Restarts the engine: its prefix cache is empty, LMCache keeps its data, open streams break. */
  restartEngine(restart?: Restart): Promise<void>
  /** The same with another `--dtype`: LMCache's objects of the old type can neither be loaded nor overwritten. */
  changeDtype(dtype: string): Promise<void>
  /** Restarts the (first) LMCache server: L1 and its quotas are lost, L2 is kept. */
  restartLmcache(restart?: Restart): Promise<void>
  /** Restarts the coordinator: placements are lost (unless `directoryCheckpoint`), pins and quotas are kept. */
  restartCoordinator(restart?: Restart): Promise<void>
  /** Tokens of all prompts so far that the engine did not have to compute. */
  cachedTokens(): number
  /** Attaches the engine to this LMCache server, as if it were another replica. */
  attachEngine(server: 'lmcache' | 'lmcache-2'): void
  /** Locks all objects in L1, as a running store or load does. Returns a function that unlocks them. */
  lockL1(): () => void
  /** Drops an adapter's objects on every server, without an event to the directory. */
  loseL2(adapter: string): void
  close(): Promise<void>
}

/** Starts the servers, by default on free ports. If one cannot listen, it stops the others and throws. */
export async function startSim(options: SimOptions = {}): Promise<Sim> {
  const settings = settingsOf(options)
  const directory = new Directory(settings.chunkBytes)
  const pending = new Set<NodeJS.Timeout>()
  const report = (instanceId: string, events: PlacementEvent[]): void => {
    if (!settings.eventReporting) return
    const timer = setTimeout(() => {
      pending.delete(timer)
      // Events sent to a coordinator that is down are lost.
      if (coordinator.listening) for (const event of events) directory.apply(instanceId, event)
    }, settings.eventFlushMs)
    pending.add(timer)
  }
  const first = new LmcacheNode(settings, settings.instanceId, report)
  const second = new LmcacheNode(settings, 'node-b', report)
  const nodes = settings.servers === 2 ? [first, second] : [first]
  const instances = nodes.map((node) => ({ node, routes: lmcacheRoutes(settings, node) }))
  first.attached = settings.connector === 'multiprocess'
  for (const node of nodes) node.store.up = settings.lmcache
  const cache = new PrefixCache(settings.blockSize, settings.cacheBlocks)
  const script = new Script()
  const requests = new RequestLog(settings.requestLog)
  const faults = new Faults()
  const model = new Engine(settings, cache, first.store)
  const core = { settings, script, engine: model }
  const parts = { log: requests, faults }

  const listener = (name: ServerName, port: number, routes: Routes) =>
    new HttpServer(settings.host, port, { ...parts, name, routes })
  const engine = listener(
    'engine',
    settings.enginePort,
    engineRoutes(core, () => cache.clear()),
  )
  const lmcache = listener('lmcache', settings.lmcachePort, instances[0]?.routes ?? {})
  const lmcache2 = listener('lmcache-2', 0, instances[1]?.routes ?? {})
  const coordinator = listener(
    'coordinator',
    settings.coordinatorPort,
    coordinatorRoutes(settings, directory, instances),
  )
  const servers = { engine, lmcache, 'lmcache-2': lmcache2, coordinator }
  const close = async (): Promise<void> => {
    for (const timer of pending) clearTimeout(timer)
    await Promise.all(Object.values(servers).map((server) => server.stop()))
  }
  const fleet = [lmcache, ...(settings.servers === 2 ? [lmcache2] : []), coordinator]
  const wanted = settings.lmcache ? [engine, ...fleet] : [engine]
  const started = await Promise.allSettled(wanted.map((server) => server.start()))
  const failed = started.find((result) => result.status === 'rejected')
  if (failed) {
    await close()
    throw failed.reason
  }
  first.urls = { lmcache: lmcache.url, coordinator: coordinator.url }
  second.urls = { lmcache: lmcache2.url, coordinator: coordinator.url }

  const setOnline = async (name: ServerName, up: boolean): Promise<void> => {
    if (name === 'lmcache') first.store.up = up
    if (name === 'lmcache-2') second.store.up = up
    await (up ? servers[name].start() : servers[name].stop())
  }
  const restart = async (name: ServerName, forget: () => void, { downMs = 0 }: Restart = {}): Promise<void> => {
    await setOnline(name, false)
    forget()
    await wait(downMs)
    await setOnline(name, true)
  }
  return {
    engineUrl: engine.url,
    lmcacheUrl: lmcache.url,
    secondLmcacheUrl: lmcache2.url,
    coordinatorUrl: coordinator.url,
    model: settings.model,
    root: settings.root,
    settings,
    requests,
    script: (reply) => script.add(reply),
    fault: (fault) => faults.add(fault),
    clearFaults: () => faults.clear(),
    setOnline,
    restartEngine: (options) => restart('engine', () => cache.clear(), options),
    changeDtype: async (dtype) => {
      for (const { store } of nodes) store.dtype = dtype
      await restart('engine', () => cache.clear())
    },
    restartLmcache: (options) =>
      restart(
        'lmcache',
        () => {
          first.store.clearL1()
          first.store.quotas.clear()
          directory.instanceRestarted(first.id)
        },
        options,
      ),
    restartCoordinator: (options) =>
      restart('coordinator', () => settings.directoryCheckpoint || directory.forgetPlacements(), options),
    cachedTokens: () => model.cachedTokens,
    attachEngine: (server) => {
      const node = server === 'lmcache' ? first : second
      node.attached = true
      model.store = node.store
    },
    lockL1: () => {
      for (const { store } of nodes) for (const key of store.l1Keys()) store.locked.add(idOf(key))
      return () => {
        for (const { store } of nodes) store.locked.clear()
      }
    },
    loseL2: (adapter) => {
      for (const { store } of nodes) store.loseL2(adapter)
    },
    close,
  }
}
