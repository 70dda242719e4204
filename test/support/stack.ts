// A whole cwm before a simulated engine with LMCache, all on free ports, its data in a folder of its own.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '../../src/base/logger.ts'
import { type App, startApp } from '../../src/compose/app.ts'
import { type Settings, settingsSchema } from '../../src/config/schema.ts'
import { type Sim, type SimOptions, startSim } from '../../src/sim/index.ts'

export interface StackOptions {
  readonly sim?: SimOptions
  readonly settings?: Partial<Settings>
  /** Another upstream than the simulator: a hop before it, or a fake one. Then no simulator's LMCache is used either, unless asked. */
  readonly upstream?: (sim: Sim) => string | Promise<string>
}

export interface Cwm {
  readonly url: string
  readonly dataDir: string
  readonly findings: readonly string[]
  /** Stops cwm and starts it again on the same data, on another port. */
  restart(change?: Partial<Settings>): Promise<void>
  stop(): Promise<void>
  close(): Promise<void>
}

export interface Stack extends Cwm {
  readonly sim: Sim
}

/** Starts cwm alone, before whatever stands at `upstream`. */
export async function startCwm(upstream: string, settings: Partial<Settings> = {}): Promise<Cwm> {
  const dataDir = settings.data_dir ?? (await mkdtemp(join(tmpdir(), 'cwm-e2e-')))
  let current: Record<string, unknown> = {
    upstream,
    port: 0,
    data_dir: dataDir,
    drain_ms: 100,
    // Tests of failures make many in a row; the breaker has its own.
    breaker_failures: 0,
    // Tests share their process with the simulator, and with others: a busy second must not look like an LMCache that is away.
    lmcache_timeout_ms: 5_000,
    verify_deadline_ms: 1_000,
    log_level: 'silent',
    ...settings,
  }
  const start = () => startApp(settingsSchema.parse(current), silentLogger)
  let app: App | undefined = await start()
  const stop = async () => {
    const running = app
    app = undefined
    await running?.close()
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
    stop,
    close: async () => {
      await stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** Starts a simulator and cwm before it. */
export async function startStack({ sim: simOptions, settings, upstream }: StackOptions = {}): Promise<Stack> {
  const sim = await startSim({ eventFlushMs: 0, ...simOptions })
  const lmcache = sim.settings.lmcache ? { coordinator: sim.coordinatorUrl } : {}
  const cwm = await startCwm((await upstream?.(sim)) ?? sim.engineUrl, { ...lmcache, ...settings })
  const { restart, stop, dataDir } = cwm
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
    stop,
    close: async () => {
      await cwm.close()
      await sim.close()
    },
  }
}
