// Builds a running cwm from the settings in four steps (storage, engines, services, faces), and shuts it down in order.

import { setMaxListeners } from 'node:events'
import { CwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import { createMetrics } from '../base/metrics.ts'
import { version } from '../base/version.ts'
import { describeMemoryBudgets, memoryBudgets, readMemoryLimits } from '../config/memory.ts'
import type { SettingsChange } from '../config/reload.ts'
import type { Settings } from '../config/schema.ts'
import { listen, type RunningServer } from '../server/server.ts'
import { shutDown } from '../server/shutdown.ts'
import { discoverUpstream } from './discovery.ts'
import { type Engines, openEngines } from './engines.ts'
import { createFaces, type Faces } from './faces.ts'
import { LiveSettings } from './live-settings.ts'
import { openTracing } from './open-tracing.ts'
import { type ReloadActor, Reloader } from './reloader.ts'
import { createServices, type Services } from './services.ts'
import { Closers, type Start } from './start.ts'
import { openStorage } from './storage.ts'
import { startTasks } from './tasks.ts'

export interface App {
  readonly url: string
  /** Startup messages about what was detected, one per line. */
  readonly findings: readonly string[]
  /** Reads the settings again. Throws `INVALID_SETTINGS`; then nothing has changed. */
  reload(actor: ReloadActor): Promise<SettingsChange>
  /** Lets current answers and freezes finish for up to `drain_ms`, then stops everything and writes pending data. */
  close(): Promise<void>
}

export interface StartOptions {
  /** Stops the start when it aborts. */
  readonly stop?: AbortSignal | undefined
  /** Reads the settings again, for a reload. Throws `SettingsError`. Absent: a reload changes nothing. */
  readonly load?: () => Promise<Settings>
  /** Applies a reloaded log level. */
  readonly setLogLevel?: (level: Settings['log_level']) => void
}

/**
 * Starts cwm. Throws `CONFIG` with instructions for problems that an operator must fix, and `SHUTTING_DOWN` if the signal aborts. In both
 * cases everything is closed again.
 */
export async function startApp(settings: Settings, log: Logger, options: StartOptions = {}): Promise<App> {
  const { stop, load = async () => settings, setLogLevel = () => {} } = options
  const memoryLimits = readMemoryLimits()
  const memory = memoryBudgets(settings, memoryLimits)
  const closers = new Closers(log)
  let engines: Engines | undefined
  const metrics = createMetrics(
    (model) => engines?.fleet.members().some(({ engine }) => engine.models.isServed(model)) === true,
  )
  metrics.build.set({ version, node: process.versions.node }, 1)
  const live = new LiveSettings(settings)
  const start: Start = { settings, live, memory, closers, metrics, log, now: () => Date.now() }
  try {
    const storage = await openStorage(start)
    const tracer = await openTracing(start, storage)
    engines = openEngines(start, storage)
    const services = createServices(start, storage, engines)
    const reloader = new Reloader({ ...start, load, setLogLevel, audit: services.audit })
    const faces = createFaces(start, services, reloader, tracer)
    if (engines.source !== undefined) await unlessStopped(engines.source.refresh(stop), stop)
    await engines.drains.sync()
    await services.storedKeys.load()
    const found = await unlessStopped(discoverUpstream({ ...engines, settings, store: storage.finding }), stop)
    const findings = [...found, describeMemoryBudgets(settings, memoryLimits)]
    const server = await openDoor(start, services, faces)
    return {
      url: server.url,
      findings,
      reload: (actor) => reloader.reload(actor),
      close: run(start, services, faces, server),
    }
  } catch (error) {
    await closers.closeAll()
    throw error
  }
}

function openDoor({ settings, metrics }: Start, { callers }: Services, { proxy, api }: Faces): Promise<RunningServer> {
  return listen({
    host: settings.host,
    port: settings.port,
    allowedHosts: settings.allowed_hosts,
    limits: {
      maxHeaderBytes: settings.max_header_bytes,
      maxHeaders: settings.max_headers,
      requestHeadersTimeoutMs: settings.request_headers_timeout_ms,
      bodyTimeoutMs: settings.body_timeout_ms,
      keepAliveMs: settings.keep_alive_ms,
      clientStallMs: settings.client_stall_ms,
    },
    onStalledClient: () => metrics.stalledClients.inc(),
    hasDashboard: settings.dashboard,
    proxy: (request, response) => void proxy.handle(request, response, (incoming) => callers.identify(incoming)),
    api,
  })
}

/** Of the background tasks, and of the calls that they make at once. */
const MAX_LISTENERS = 100

/** Starts the background tasks. Returns the function that shuts everything down. */
function run(start: Start, services: Services, faces: Faces, server: RunningServer): App['close'] {
  const { settings, closers, log } = start
  const { fleet, events, freezes, windows, libraries, admission, freezeSlots, deleteSlots } = services
  const stopping = new AbortController()
  // Each task listens to it. With several engines there are more than ten, at which Node would warn of a leak.
  setMaxListeners(MAX_LISTENERS, stopping.signal)
  const tasks = startTasks(start, services, stopping.signal)
  return async () => {
    faces.readiness.drain()
    await shutDown({
      server,
      fleet,
      endWaits: (error) => {
        for (const slots of [admission, freezeSlots, deleteSlots]) slots.close(error)
      },
      drainDelayMs: settings.drain_delay_ms,
      drainMs: settings.drain_ms,
      stopLongRunning: () => {
        events.closeSubscriptions()
        faces.mcp.close()
        stopping.abort()
        void libraries.stop()
      },
      settle: () => Promise.all([...tasks, freezes.settle(), windows.settle(), libraries.stop()]),
      log,
    })
    await closers.closeAll()
  }
}

/** Rejects when `stop` aborts. Discovery can take many seconds if the engine does not answer. */
async function unlessStopped<T>(work: Promise<T>, stop: AbortSignal | undefined): Promise<T> {
  if (stop === undefined) return await work
  return await new Promise<T>((resolve, reject) => {
    const end = () => reject(new CwmError('SHUTTING_DOWN', 'cwm was stopped while it started'))
    if (stop.aborted) end()
    else stop.addEventListener('abort', end, { once: true })
    work.then(resolve, reject).finally(() => stop.removeEventListener('abort', end))
  })
}
