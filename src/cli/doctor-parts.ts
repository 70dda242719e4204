// Builds the doctor's access to engine, LMCache, Redis, and store from the settings.

import { CwmError } from '../base/errors.ts'
import type { Settings } from '../config/schema.ts'
import type { DoctorEngine, DoctorParts, PlainAnswer } from '../doctor/facts.ts'
import { lmcacheOpener } from '../doctor/open-lmcache.ts'
import type { Engine } from '../engines/engine.ts'
import { readRedisMemory } from '../store/redis/redis-memory.ts'
import type { DoctorFlags } from './doctor-flags.ts'
import { checkSecret, checkStore } from './doctor-storage.ts'

const REDIS_TIMEOUT_MS = 2_000
/** LMCache reports once a second, and stores in the background. */
const SETTLE_WITHIN_MS = 8_000

/** Does not connect yet. `engines`: those of the setting `upstream`, opened. */
export function doctorParts(
  settings: Settings,
  { model, resetEngineCache }: Pick<DoctorFlags, 'model' | 'resetEngineCache'>,
  engines: readonly OpenedEngine[],
): DoctorParts {
  const lmcache = {
    coordinatorUrl: settings.coordinator,
    lmcacheUrl: settings.lmcache,
    timeoutMs: settings.lmcache_timeout_ms,
  }
  return {
    engines: engines.map((opened) => doctorEngine(opened, settings.upstream_api_key)),
    openLmcache: lmcacheOpener(lmcache, Date.now),
    redisMemory: (address) => readRedisMemory(address, REDIS_TIMEOUT_MS),
    checkStore: () => checkStore(settings),
    checkSecret: () => checkSecret(settings),
    model,
    resetEngineCache: resetEngineCache === true,
    settleTimeoutMs: SETTLE_WITHIN_MS,
    now: Date.now,
  }
}

/** An engine as the settings describe it, with a connection. */
export interface OpenedEngine {
  readonly url: string
  /** Its own key, which replaces the common one. */
  readonly apiKey?: string
  readonly kvServer?: string
  readonly engine: Engine
}

function doctorEngine({ url, apiKey, kvServer, engine }: OpenedEngine, common: string | undefined): DoctorEngine {
  const key = apiKey ?? common
  return {
    name: new URL(url).host,
    engine,
    ask: (method, path, signal) => askPlain(url, method, path, key, signal),
    apiKey: key,
    kvServer,
  }
}

async function askPlain(
  base: string,
  method: 'GET' | 'POST',
  path: string,
  apiKey: string | undefined,
  signal: AbortSignal,
): Promise<PlainAnswer> {
  const sent = performance.now()
  try {
    const response = await fetch(base.replace(/\/+$/, '') + path, {
      method,
      redirect: 'manual',
      signal,
      ...(apiKey === undefined ? {} : { headers: { authorization: `Bearer ${apiKey}` } }),
    })
    const text = await response.text()
    return { status: response.status, text, headers: response.headers, ms: performance.now() - sent }
  } catch (cause) {
    signal.throwIfAborted()
    throw new CwmError('UPSTREAM_REFUSED', `the engine at ${base} does not answer`, { cause })
  }
}
