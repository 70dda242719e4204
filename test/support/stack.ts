// A complete cwm with a simulated engine and LMCache, all on free ports, with its own data directory.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '../../src/base/logger.ts'
import { type App, startApp } from '../../src/compose/app.ts'
import { SettingsError } from '../../src/config/load.ts'
import type { SettingsChange } from '../../src/config/reload.ts'
import { type Settings, settingsSchema } from '../../src/config/schema.ts'
import { type Sim, type SimOptions, startSim } from '../../src/sim/index.ts'

export interface StackOptions {
  readonly sim?: SimOptions
  readonly settings?: Partial<Settings>
  /** Another upstream instead of the simulator: a hop in front of it, or a fake. Then the simulator's LMCache is not used either, unless configured. */
  readonly upstream?: (sim: Sim) => string | Promise<string>
}

/** A setting given as undefined is removed. */
export type SettingsEdit = Partial<{ [name in keyof Settings]: Settings[name] | undefined }>

export interface Cwm {
  readonly url: string
  readonly dataDir: string
  readonly findings: readonly string[]
  /** Stops cwm and starts it again on the same data, on another port. */
  restart(change?: Partial<Settings>): Promise<void>
  /** Changes settings, and reloads them without a restart, as SIGHUP does. */
  reload(change: SettingsEdit): Promise<SettingsChange>
  /** Changes what the next reload reads. */
  prepare(change: SettingsEdit): void
  stop(): Promise<void>
  close(): Promise<void>
}

export interface Stack extends Cwm {
  readonly sim: Sim
}

/** Starts only cwm, with the given upstream. */
export async function startCwm(upstream: string, settings: Partial<Settings> = {}): Promise<Cwm> {
  const dataDir = settings.data_dir ?? (await mkdtemp(join(tmpdir(), 'cwm-e2e-')))
  let current: Record<string, unknown> = {
    upstream,
    port: 0,
    data_dir: dataDir,
    drain_ms: 100,
    // Tests of failures cause many in a row. The breaker has its own tests.
    breaker_failures: 0,
    // Tests share a process with the simulator and with other tests. A busy second must not look like an LMCache that is down.
    lmcache_timeout_ms: 5_000,
    verify_deadline_ms: 1_000,
    log_level: 'silent',
    ...settings,
  }
  const load = async () => {
    const { data, error } = settingsSchema.safeParse(current)
    if (error !== undefined) throw new SettingsError(error.message)
    return data
  }
  const start = async () => startApp(settingsSchema.parse(current), silentLogger, { load })
  let app: App | undefined = await start()
  const stop = async () => {
    const running = app
    app = undefined
    await running?.close()
  }
  const prepare = (change: SettingsEdit) => {
    current = { ...current, ...change }
  }
  const running = () => {
    if (app === undefined) throw new Error('cwm is stopped')
    return app
  }
  return {
    get url() {
      return running().url
    },
    get findings() {
      return running().findings
    },
    dataDir,
    restart: async (change = {}) => {
      await stop()
      current = { ...current, ...change }
      app = await start()
    },
    prepare,
    reload: async (change) => {
      prepare(change)
      return await running().reload('sighup')
    },
    stop,
    close: async () => {
      await stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** Starts a simulator, and cwm with it. */
export async function startStack({ sim: simOptions, settings, upstream }: StackOptions = {}): Promise<Stack> {
  const sim = await startSim({ eventFlushMs: 0, ...simOptions })
  const lmcache = sim.settings.lmcache ? { coordinator: sim.coordinatorUrl } : {}
  const cwm = await startCwm((await upstream?.(sim)) ?? sim.engineUrl, { ...lmcache, ...settings })
  const { restart, prepare, reload, stop, dataDir } = cwm
  return {
    sim,
    dataDir,
    get url() {
      return cwm.url
    },
    get findings() {
      return cwm.findings
    },
    restart,
    prepare,
    reload,
    stop,
    close: async () => {
      await cwm.close()
      await sim.close()
    },
  }
}
