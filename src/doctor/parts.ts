// What the doctor works with: the engines, LMCache, the store and the secret of a deployment, and how they are reached.

import type { Engine } from '../engines/engine.ts'
import type { LmcacheConnection } from '../kv/lmcache/connector.ts'
import type { RedisMemory } from '../store/redis/redis-memory.ts'
import type { Finding } from './finding.ts'

export interface PlainAnswer {
  readonly status: number
  readonly text: string
  readonly headers: Headers
  readonly ms: number
}

/** One engine of the deployment. */
export interface DoctorEngine {
  /** Its host and port, by which findings name it. */
  readonly name: string
  readonly engine: Pick<Engine, 'id' | 'warm' | 'models' | 'tokenIds'>
  /** Sends a request to it, with a body as JSON if there is one, and accepts any status. Throws `UPSTREAM_REFUSED`. */
  readonly ask: (method: 'GET' | 'POST', path: string, signal: AbortSignal, body?: object) => Promise<PlainAnswer>
  readonly apiKey: string | undefined
  /** Its share of new sessions, relative to the other engines; 0 if it is draining. */
  readonly weight: number
  /** The instance id of its LMCache server according to the settings; undefined if they do not say. */
  readonly kvServer: string | undefined
}

/** How requests of one session are marked for a router. */
export interface DoctorAffinity {
  /** The setting `affinity`, as the operator wrote it. */
  readonly setting: string
  /** The headers of a session. Flat: name, value, name, value. */
  headers(key: string): readonly string[]
}

export interface DoctorParts {
  /** At least one. */
  readonly engines: readonly DoctorEngine[]
  /** Absent if the setting `affinity` is `none`. */
  readonly affinity?: DoctorAffinity
  /** Opens LMCache as configured; undefined if it is not. Throws if no configured address answers. */
  readonly openLmcache: () => Promise<LmcacheConnection | undefined>
  /** The memory limit and eviction policy of a Redis. */
  readonly redisMemory: (address: string) => Promise<RedisMemory>
  readonly checkStore: () => Promise<Finding>
  readonly checkSecret: () => Promise<Finding>
  /** Served name to probe with. Default: the first one listed. */
  readonly model: string | undefined
  /** Whether the engine's own cache may be reset, which affects all its users. */
  readonly resetEngineCache: boolean
  /** How long to wait for chunks to appear in a tier after they were stored, and to disappear after a delete, milliseconds. */
  readonly settleTimeoutMs: number
  readonly now: () => number
}
