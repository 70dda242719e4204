// A simulated vLLM with LMCache and its coordinator, over real sockets: for `cwm demo`, and for tests that need speed or faults.
// test/contracts/engine compares its answers with the real servers'.

import { coordinatorRoutes } from './coordinator-routes.ts'
import { Directory } from './directory.ts'
import { type Fault, Faults } from './faults.ts'
import { HttpServer } from './http-server.ts'
import { idOf, type L2Storage, type PlacementEvent } from './kv-store.ts'
import { Lru } from './lru.ts'
import { type SimOptions, type SimSettings, settingsOf } from './options.ts'
import { Replica } from './replica.ts'
import { type EngineName, type LmcacheName, RequestLog, type ServerName } from './request-log.ts'
import type { Routes } from './routes.ts'
import { Script, type ScriptedReply } from './script.ts'
import { wait } from './wait.ts'

export type { Fault, FaultAction } from './faults.ts'
export type { EngineOptions, SimAdapter, SimOptions } from './options.ts'
export type { EngineName, LmcacheName, LoggedRequest, RequestLog, ServerName } from './request-log.ts'
export type { ScriptedCall, ScriptedReply } from './script.ts'

export interface Restart {
  /** Milliseconds during which connections are refused; default 0. */
  readonly downMs?: number
}

/** One engine of the stack. */
export interface SimEngine {
  readonly name: EngineName
  readonly url: string
  /** The LMCache server that it is attached to. */
  readonly lmcacheName: LmcacheName
  readonly lmcacheUrl: string
  /** That server's `instance_id`. */
  readonly instanceId: string
  /** Tokens of its prompts so far that it did not have to compute. */
  cachedTokens(): number
}

/** A running simulated stack. `engineUrl` and `lmcacheUrl` are those of the first engine. */
export interface Sim {
  readonly engines: readonly SimEngine[]
  readonly engineUrl: string
  readonly lmcacheUrl: string
  /** URL of the second LMCache server, which only listens if `servers` is at least 2. */
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
  /** Takes a server down, and empties what it has in memory. `setOnline(server, true)` starts it again. */
  kill(server: ServerName): Promise<void>
  /** Restarts an engine, by default the first: its prefix cache is empty, LMCache keeps its data, open streams break. */
  restartEngine(restart?: Restart, name?: EngineName): Promise<void>
  /** The same with another `--dtype`: LMCache's objects of the old type can neither be loaded nor overwritten. */
  changeDtype(dtype: string): Promise<void>
  /** Restarts an LMCache server, by default the first: L1 and its quotas are lost, L2 is kept. */
  restartLmcache(restart?: Restart, name?: LmcacheName): Promise<void>
  /** Restarts the coordinator: placements are lost (unless `directoryCheckpoint`), pins and quotas are kept. */
  restartCoordinator(restart?: Restart): Promise<void>
  /** Tokens of all prompts so far that no engine had to compute. */
  cachedTokens(): number
  /** Tokens of all prompts that engines have read so far. */
  promptTokens(): number
  /** Attaches the first engine to this LMCache server, as if it were another replica. */
  attachEngine(server: LmcacheName): void
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
  const shared = new Map<string, L2Storage>(settings.sharedL2.map((name) => [name, new Lru(settings.l2Bytes)]))
  const script = new Script()
  const replicas = Array.from(
    { length: settings.servers },
    (_, index) => new Replica({ settings, index, script, report, shared }),
  )
  const nodes = replicas.map(({ node }) => node)
  const requests = new RequestLog(settings.requestLog)
  const faults = new Faults()

  const servers = new Map<ServerName, HttpServer>()
  const listener = (name: ServerName, port: number, routes: Routes): HttpServer => {
    const server = new HttpServer(settings.host, port, { log: requests, faults, name, routes })
    servers.set(name, server)
    return server
  }
  const portOf = (index: number, port: number): number => (index === 0 ? port : 0)
  const engines = replicas.filter(({ hasEngine }) => hasEngine)
  for (const [index, { engineName, engineRoutes }] of engines.entries())
    listener(engineName, portOf(index, settings.enginePort), engineRoutes)
  for (const [index, replica] of settings.lmcache ? replicas.entries() : [])
    listener(replica.lmcacheName, portOf(index, settings.lmcachePort), replica.lmcacheRoutes)
  const instances = replicas.map((replica) => ({ node: replica.node, routes: replica.lmcacheRoutes }))
  const coordinator = new HttpServer(settings.host, settings.coordinatorPort, {
    log: requests,
    faults,
    name: 'coordinator',
    routes: coordinatorRoutes(settings, directory, instances),
  })
  if (settings.lmcache) servers.set('coordinator', coordinator)
  const close = async (): Promise<void> => {
    for (const timer of pending) clearTimeout(timer)
    await Promise.all([...servers.values()].map((server) => server.stop()))
  }
  const started = await Promise.allSettled([...servers.values()].map((server) => server.start()))
  const failed = started.find((result) => result.status === 'rejected')
  if (failed) {
    await close()
    throw failed.reason
  }
  const urlOf = (name: ServerName): string => servers.get(name)?.url ?? ''
  for (const { node, lmcacheName } of replicas)
    node.urls = { lmcache: urlOf(lmcacheName), coordinator: coordinator.url }

  const replicaOf = (name: ServerName): Replica => {
    const replica = replicas.find(({ engineName, lmcacheName }) => name === engineName || name === lmcacheName)
    if (replica === undefined) throw new Error(`this simulated stack has no server ${name}`)
    return replica
  }
  const setOnline = async (name: ServerName, up: boolean): Promise<void> => {
    if (name.startsWith('lmcache')) replicaOf(name).node.store.up = up
    const server = servers.get(name)
    await (up ? server?.start() : server?.stop())
  }
  const forget = (name: ServerName): void => {
    if (name === 'coordinator') {
      if (!settings.directoryCheckpoint) directory.forgetPlacements()
    } else if (name.startsWith('engine')) replicaOf(name).forgetEngine()
    else {
      replicaOf(name).forgetLmcache()
      directory.instanceRestarted(replicaOf(name).node.id)
    }
  }
  const kill = async (name: ServerName): Promise<void> => {
    await setOnline(name, false)
    forget(name)
  }
  const restart = async (name: ServerName, { downMs = 0 }: Restart = {}): Promise<void> => {
    await kill(name)
    await wait(downMs)
    await setOnline(name, true)
  }
  const [first] = engines
  if (first === undefined) throw new Error('a simulated stack has at least one engine')
  return {
    engines: engines.map((replica) => ({
      name: replica.engineName,
      url: urlOf(replica.engineName),
      lmcacheName: replica.lmcacheName,
      lmcacheUrl: urlOf(replica.lmcacheName),
      instanceId: replica.node.id,
      cachedTokens: () => replica.engine.cachedTokens,
    })),
    engineUrl: urlOf('engine'),
    lmcacheUrl: urlOf('lmcache'),
    secondLmcacheUrl: urlOf('lmcache-2'),
    coordinatorUrl: coordinator.url,
    model: settings.model,
    root: settings.root,
    settings,
    requests,
    script: (reply) => script.add(reply),
    fault: (fault) => faults.add(fault),
    clearFaults: () => faults.clear(),
    setOnline,
    kill,
    restartEngine: (options, name = 'engine') => restart(name, options),
    changeDtype: async (dtype) => {
      for (const { store } of nodes) store.dtype = dtype
      for (const { engineName } of engines) await restart(engineName)
    },
    restartLmcache: (options, name = 'lmcache') => restart(name, options),
    restartCoordinator: (options) => restart('coordinator', options),
    cachedTokens: () => engines.reduce((sum, { engine }) => sum + engine.cachedTokens, 0),
    promptTokens: () => engines.reduce((sum, { engine }) => sum + engine.promptTokens, 0),
    attachEngine: (name) => {
      const { node } = replicaOf(name)
      node.attached = true
      first.engine.store = node.store
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
