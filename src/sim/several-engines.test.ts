// Several simulated engines, each with an LMCache server of its own, under one coordinator.

import { afterEach, describe, expect, it } from 'vitest'
import { type Sim, type SimEngine, type SimOptions, startSim } from './index.ts'

let sim: Sim

afterEach(() => sim.close())

const start = async (options: SimOptions = {}): Promise<[SimEngine, SimEngine]> => {
  sim = await startSim({ engines: 2, eventFlushMs: 0, ...options })
  const [a, b] = sim.engines
  if (a === undefined || b === undefined) throw new Error('two engines were asked for')
  return [a, b]
}

const ids = Array.from({ length: 600 }, (_, i) => 1000 + i)

async function post<T>(url: string, body: object, method = 'POST'): Promise<T> {
  const headers = { 'content-type': 'application/json', connection: 'close' }
  return (await (await fetch(url, { method, headers, body: JSON.stringify(body) })).json()) as T
}

async function cached({ url }: SimEngine): Promise<number> {
  const body = { prompt: ids, max_tokens: 1, cache_salt: 's' }
  const answer = await post<{ usage: { prompt_tokens_details: { cached_tokens: number } } }>(
    `${url}/v1/completions`,
    body,
  )
  return answer.usage.prompt_tokens_details.cached_tokens
}

interface Found {
  readonly key: object
  readonly placements: readonly { instance_id: string; tier: string; backend: string; shared: boolean }[]
}

async function lookup(): Promise<readonly Found[]> {
  const body = { token_ids: ids, model_name: sim.root, world_size: 1, cache_salt: 's' }
  return (await post<{ results: readonly Found[] }>(`${sim.coordinatorUrl}/directory/lookup`, body)).results
}

/** Where the first chunk is, as `instance tier backend`. */
const placesOfFirst = async (): Promise<string[]> =>
  ((await lookup())[0]?.placements ?? []).map((p) => `${p.instance_id} ${p.tier} ${p.backend}`).sort()

describe('two engines', () => {
  it('share no KV if each LMCache server has its own L2', async () => {
    const [a, b] = await start({ l2Adapters: ['fs'] })
    await cached(a)

    expect(await cached(b)).toBe(0)
    expect(await cached(a)).toBe(592)
  })

  it('share the whole chunks that lie in a shared L2', async () => {
    const [a, b] = await start({ l2Adapters: ['fs', 'resp'], sharedL2: ['resp'] })
    await cached(a)

    expect(await cached(b)).toBe(512)
    expect(await placesOfFirst()).toEqual(['node-a l1 dram', 'node-a l2 fs', 'node-a l2 resp', 'node-b l1 dram'].sort())
  })

  it('have one placement of what both stored in a pool declared as shared', async () => {
    const [a, b] = await start({ l2Adapters: ['resp'], declaredShared: ['resp'] })
    await cached(a)
    await cached(b)

    expect((await lookup())[0]?.placements.filter(({ tier }) => tier === 'l2')).toMatchObject([
      { instance_id: 'node-b', backend: 'resp', shared: true },
    ])
  })

  it('are named in the log, in /instances and in /config', async () => {
    const [, b] = await start({ redisAddress: { host: 'redis', port: 6379 }, declaredShared: ['resp'] })
    await cached(b)

    const { instances } = (await (await fetch(`${sim.coordinatorUrl}/instances`)).json()) as { instances: object[] }
    expect(instances).toMatchObject([{ instance_id: 'node-a' }, { instance_id: b.instanceId }])
    expect(sim.requests.all('engine-2')).toHaveLength(1)
    expect(await (await fetch(`${b.lmcacheUrl}/config`)).json()).toMatchObject({
      mp: { instance_id: 'node-b' },
      storage_manager: {
        l2_adapter_config: { adapters: [{ shared: false }, { host: 'redis', port: 6379, shared: true }] },
      },
    })
  })

  it('are killed and started one by one', async () => {
    const [a, b] = await start({ l2Adapters: [] })
    await cached(a)
    await cached(b)

    await sim.kill('engine-2')
    await expect(cached(b)).rejects.toThrow()
    await sim.kill('lmcache-2')
    await sim.setOnline('lmcache-2', true)
    await sim.setOnline('engine-2', true)

    expect(await cached(b)).toBe(0)
    expect(await cached(a)).toBe(592)
  })

  it('may serve different models', async () => {
    const [, b] = await start({ engineOptions: [{}, { model: 'other', root: './other' }] })

    const { data } = (await (await fetch(`${b.url}/v1/models`)).json()) as { data: object[] }

    expect(data).toMatchObject([{ id: 'other', root: './other' }])
  })
})

// Recorded as "An entry whose object was lost earlier never leaves it": a server reports deletions only of what it stored itself.
describe('a deletion from a shared L2', () => {
  it('is reported by the server that stored the chunk, and by no other', async () => {
    const [a, b] = await start({ l2Adapters: ['resp'], sharedL2: ['resp'] })
    await cached(a)
    await cached(b)
    const keys = (await lookup()).map(({ key }) => key)

    await post(`${b.lmcacheUrl}/cache/objects`, { keys, tier: 'l2', adapter: 'resp' }, 'DELETE')

    expect(await placesOfFirst()).toContain('node-a l2 resp')
    expect(await placesOfFirst()).not.toContain('node-b l2 resp')
  })
})
