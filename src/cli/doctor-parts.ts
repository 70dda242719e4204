// Builds the doctor's access to engine, LMCache, Redis, and store from the settings.

import { CwmError } from '../base/errors.ts'
import type { Settings } from '../config/schema.ts'
import { lmcacheOpener } from '../doctor/open-lmcache.ts'
import type { DoctorEngine, DoctorParts, PlainAnswer } from '../doctor/parts.ts'
import { readAffinity } from '../engines/affinity.ts'
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
    ...affinityOf(settings.affinity),
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

/** The headers that cwm sends for a session, with a value that the doctor makes up. */
function affinityOf(setting: string): Pick<DoctorParts, 'affinity'> {
  const affinity = readAffinity(setting)
  if (affinity === undefined || affinity === null) return {}
  const { header, tenantHeader } = affinity
  const tenant = tenantHeader === undefined ? [] : [tenantHeader, 'cwm-doctor']
  return { affinity: { setting, headers: (key) => [header, key, ...tenant] } }
}

/** An engine as the settings describe it, with a connection. */
export interface OpenedEngine {
  readonly url: string
  /** Its own key, which replaces the common one. */
  readonly apiKey?: string
  readonly kvServer?: string
  /** Default 1; 0 if it is draining. */
  readonly weight?: number
  readonly engine: Engine
}

function doctorEngine(
  { url, apiKey, kvServer, weight = 1, engine }: OpenedEngine,
  common: string | undefined,
): DoctorEngine {
  const key = apiKey ?? common
  return {
    name: new URL(url).host,
    engine,
    ask: (method, path, signal, body) => askPlain(url, { method, path, apiKey: key, signal, body }),
    apiKey: key,
    weight,
    kvServer,
  }
}

interface PlainCall {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly apiKey: string | undefined
  readonly signal: AbortSignal
  /** Sent as JSON. */
  readonly body: object | undefined
}

async function askPlain(base: string, { method, path, apiKey, signal, body }: PlainCall): Promise<PlainAnswer> {
  const sent = performance.now()
  const headers: Record<string, string> = {}
  if (apiKey !== undefined) headers.authorization = `Bearer ${apiKey}`
  if (body !== undefined) headers['content-type'] = 'application/json'
  try {
    const response = await fetch(base.replace(/\/+$/, '') + path, {
      method,
      redirect: 'manual',
      signal,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, text, headers: response.headers, ms: performance.now() - sent }
  } catch (cause) {
    signal.throwIfAborted()
    throw new CwmError('UPSTREAM_REFUSED', `the engine at ${base} does not answer`, { cause })
  }
}
