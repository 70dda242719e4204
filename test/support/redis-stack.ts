// Several cwm processes on one Redis with one simulated engine. Each may have its own simulated network to Redis.

import { CwmError } from '../../src/base/errors.ts'
import type { Settings } from '../../src/config/schema.ts'
import { type LoggedRequest, type Sim, type SimOptions, startSim } from '../../src/sim/index.ts'
import { saltsIn } from './conversation.ts'
import { RedisServer } from './redis-server.ts'
import { SlowHop } from './slow-hop.ts'
import { type Cwm, startCwm } from './stack.ts'

const secret = 'a secret that all proxies on one store share, of some length'

export interface Fleet {
  readonly sim: Sim
  readonly redis: RedisServer
  readonly a: Cwm
  readonly b: Cwm
  /** Between `b` and Redis. */
  readonly hop: SlowHop
  /** Chats that reached the engine, oldest first: the salt of each. */
  salts(): string[]
  close(): Promise<void>
}

export interface FleetOptions {
  readonly sim?: SimOptions
  readonly settings?: Partial<Settings>
  /** Of the Redis server, as on its command line. */
  readonly redis?: readonly string[]
}

export async function startFleet(options: FleetOptions = {}): Promise<Fleet> {
  const { sim: simOptions, settings = {} } = options
  const redis = await RedisServer.start(...(options.redis ?? []))
  const sim = await startSim({ eventFlushMs: 0, ...simOptions })
  const hop = await SlowHop.before(redis.port)
  const start = (port: number) =>
    startCwm(sim.engineUrl, {
      coordinator: sim.coordinatorUrl,
      secret,
      store: `redis://127.0.0.1:${port}`,
      ...settings,
    })
  const a = await patiently(() => start(redis.port))
  const b = await patiently(() => start(hop.port))
  return {
    sim,
    redis,
    a,
    b,
    hop,
    salts: () => chatsOf(sim).flatMap(({ body }) => saltsIn(body)),
    close: async () => {
      redis.goOn()
      hop.mend()
      await Promise.all([a.close(), b.close()])
      await hop.close()
      await sim.close()
      await redis.dispose()
    },
  }
}

const TRIES = 5

/** Retries if a busy machine exceeded the timeout of the store. */
async function patiently(start: () => Promise<Cwm>): Promise<Cwm> {
  for (let tries = 1; ; tries++) {
    try {
      return await start()
    } catch (thrown) {
      if (tries === TRIES || !(thrown instanceof CwmError && thrown.code === 'STORE_UNAVAILABLE')) throw thrown
    }
  }
}

/** The chats that reached the engine. */
export function chatsOf(sim: Sim): LoggedRequest[] {
  return sim.requests.all('engine').filter(({ path }) => path === '/v1/chat/completions')
}
