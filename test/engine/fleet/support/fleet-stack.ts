// Two cwm processes on one Redis of their own, before both engines.

import { RedisServer } from '../../../support/redis-server.ts'
import { type Cwm, startCwm } from '../../support/cwm.ts'
import { coordinatorUrl } from '../../support/stack.ts'
import { engines, routerUrl } from './pair.ts'

const SECRET = 'a secret that both proxies share, of some length'

export interface FleetStack {
  readonly proxies: readonly [Cwm, Cwm]
  close(): Promise<void>
}

/** cwm places sessions itself: the setting `upstream` lists the engines. */
export function startBuiltInList(): Promise<FleetStack> {
  const list = engines.map(({ url, instance }) => `  - { url: '${url}', lmcache_instance: ${instance} }`)
  // Short, so that a test need not wait for an engine that has returned.
  return start(['upstream:', ...list, 'engine_health_interval_ms: 1000', 'engine_slow_start_ms: 1000'])
}

/** A router places sessions, by the header that cwm sends. */
export function startBeforeRouter(): Promise<FleetStack> {
  return start([`upstream: '${routerUrl}'`, 'affinity: vllm-router'])
}

async function start(upstream: readonly string[]): Promise<FleetStack> {
  const redis = await RedisServer.start()
  const common = [`coordinator: '${coordinatorUrl}'`, `store: '${redis.url}'`, `secret: '${SECRET}'`]
  const config = [...upstream, ...common].join('\n')
  const first = await startCwm({ config })
  const second = await startCwm({ config })
  return {
    proxies: [first, second],
    close: async () => {
      await Promise.all([first.dispose(), second.dispose()])
      await redis.dispose()
    },
  }
}
