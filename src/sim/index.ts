// A simulated vLLM with LMCache and its coordinator, over real sockets: for `cwm demo`, and for tests that need speed or
// faults. What it answers is held to the real servers by test/contract.

import { coordinatorRoutes } from './coordinator-routes.ts'
import { Directory } from './directory.ts'
import { Engine } from './engine.ts'
import { engineRoutes } from './engine-routes.ts'
import { type Fault, Faults } from './faults.ts'
import { HttpServer } from './http-server.ts'
import { KvStore, type PlacementEvent } from './kv-store.ts'
import { lmcacheRoutes } from './lmcache-routes.ts'
import { type SimOptions, type SimSettings, settingsOf } from './options.ts'
import { PrefixCache } from './prefix-cache.ts'
import { RequestLog, type ServerName } from './request-log.ts'
import { findRoute } from './routes.ts'
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
  readonly coordinatorUrl: string
  /** Served name of the model. */
  readonly model: string
  /** The engine's own name of it: `model_name` in LMCache's keys. */
  readonly root: string
  readonly settings: SimSettings
  /** Every request that came in, newest last; bounded. */
  readonly requests: RequestLog
  /** Queues a reply for the next turn that suits it: one with tool calls waits for a request that offers tools. */
  script(reply: ScriptedReply): void
  /** Orders a fault; the function returned takes it back. */
  fault(fault: Fault): () => void
  clearFaults(): void
  /** Takes a server down (connections refused, open ones broken) or up again on the same port. What it holds stays. */
  setUp(server: ServerName, up: boolean): Promise<void>
  /** A new engine process: its prefix cache is empty, LMCache keeps all. Open streams break. */
  restartEngine(restart?: Restart): Promise<void>
  /** A new LMCache server: L1 is lost, L2 is kept. */
  restartLmcache(restart?: Restart): Promise<void>
  /** A new coordinator: the directory forgets (unless `directoryCheckpoint`), pins and quotas survive. */
  restartCoordinator(restart?: Restart): Promise<void>
  close(): Promise<void>
}

/** Starts the three servers, on free ports unless told otherwise. Throws, with none left running, if one cannot listen. */
export async function startSim(options: SimOptions = {}): Promise<Sim> {
  const settings = settingsOf(options)
  const directory = new Directory(settings)
  const pending = new Set<NodeJS.Timeout>()
  const tell = (events: PlacementEvent[]): void => {
    const timer = setTimeout(() => {
      pending.delete(timer)
      // Events sent to a coordinator that is down are lost.
      if (coordinator.listening) for (const event of events) directory.apply(event)
    }, settings.eventFlushMs)
    pending.add(timer)
  }
  const store = new KvStore(settings, tell)
  store.up = settings.lmcache
  const cache = new PrefixCache(settings.blockSize, settings.cacheBlocks)
  const script = new Script()
  const requests = new RequestLog(settings.requestLog)
  const faults = new Faults()
  const core = { settings, script, engine: new Engine(settings, cache, store) }
  const parts = { log: requests, faults }

  const instanceRoutes = lmcacheRoutes(settings, store, () => ({ lmcache: lmcache.url, coordinator: coordinator.url }))
  const instance = {
    up: () => lmcache.listening,
    url: () => lmcache.url,
    registeredAt: Date.now() / 1000,
    call: async (method: string, path: string, body: unknown) => {
      const { handler, params } = findRoute(instanceRoutes, method, path)
      const bytes = Buffer.from(body === undefined ? '' : JSON.stringify(body))
      const signal = new AbortController().signal
      return handler({ method, path, query: new URLSearchParams(), params, headers: {}, body: bytes, signal })
    },
  }
  const engineRoutesOf = engineRoutes(core, () => cache.clear())
  const engine = new HttpServer(settings.host, settings.enginePort, {
    ...parts,
    name: 'engine',
    routes: engineRoutesOf,
  })
  const lmcache = new HttpServer(settings.host, settings.lmcachePort, {
    ...parts,
    name: 'lmcache',
    routes: instanceRoutes,
  })
  const coordinator = new HttpServer(settings.host, settings.coordinatorPort, {
    ...parts,
    name: 'coordinator',
    routes: coordinatorRoutes(settings, directory, instance),
  })
  const servers = { engine, lmcache, coordinator }
  const close = async (): Promise<void> => {
    for (const timer of pending) clearTimeout(timer)
    await Promise.all(Object.values(servers).map((server) => server.stop()))
  }
  const wanted = settings.lmcache ? Object.values(servers) : [engine]
  const started = await Promise.allSettled(wanted.map((server) => server.start()))
  const failed = started.find((result) => result.status === 'rejected')
  if (failed) {
    await close()
    throw failed.reason
  }

  const setUp = async (name: ServerName, up: boolean): Promise<void> => {
    if (name === 'lmcache') store.up = up
    await (up ? servers[name].start() : servers[name].stop())
  }
  const restart = async (name: ServerName, forget: () => void, { downMs = 0 }: Restart = {}): Promise<void> => {
    await setUp(name, false)
    forget()
    await wait(downMs)
    await setUp(name, true)
  }
  return {
    engineUrl: engine.url,
    lmcacheUrl: lmcache.url,
    coordinatorUrl: coordinator.url,
    model: settings.model,
    root: settings.root,
    settings,
    requests,
    script: (reply) => script.add(reply),
    fault: (fault) => faults.add(fault),
    clearFaults: () => faults.clear(),
    setUp,
    restartEngine: (options) => restart('engine', () => cache.clear(), options),
    restartLmcache: (options) =>
      restart(
        'lmcache',
        () => {
          store.clearL1()
          directory.instanceRestarted()
        },
        options,
      ),
    restartCoordinator: (options) =>
      restart('coordinator', () => settings.directoryCheckpoint || directory.forgetPlacements(), options),
    close,
  }
}
