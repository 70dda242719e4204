// The whole simulated stack: what survives which restart, how faults look to a client, and what only the simulator can do.

import { afterEach, describe, expect, it } from 'vitest'
import { type Sim, type SimOptions, startSim } from './index.ts'

let sim: Sim

afterEach(() => sim.close())

const ids = (count: number): number[] => Array.from({ length: count }, (_, i) => 1000 + (i % 900))

// A restart may break a connection that fetch keeps, so such tests use a new one each time. Broken streams need keep-alive: with
// `connection: close`, fetch in Node 20 accepts a truncated body as complete (undici 7 does not).
function post(url: string, path: string, body: object, keep = false, signal?: AbortSignal): Promise<Response> {
  const headers = { 'content-type': 'application/json', connection: keep ? 'keep-alive' : 'close' }
  const init = { method: 'POST', headers, body: JSON.stringify(body) }
  return fetch(url + path, signal ? { ...init, signal } : init)
}

async function cached(prompt: readonly number[], more: object = {}): Promise<number> {
  const answer = await post(sim.engineUrl, '/v1/completions', { prompt, max_tokens: 1, cache_salt: 's', ...more })
  const json = (await answer.json()) as { usage: { prompt_tokens_details: { cached_tokens: number } } }
  return json.usage.prompt_tokens_details.cached_tokens
}

async function lookup(more: object = {}): Promise<{ placements: { tier: string }[] }[]> {
  const key = {
    token_ids: ids(600),
    model_name: sim.root,
    world_size: sim.settings.worldSize,
    cache_salt: 's',
    ...more,
  }
  const json = (await (await post(sim.coordinatorUrl, '/directory/lookup', key)).json()) as {
    results: { placements: { tier: string }[] }[]
  }
  return json.results
}

const chat = { messages: [{ role: 'user', content: 'hello there' }], max_tokens: 20 }
const streamed = (signal?: AbortSignal): Promise<Response> =>
  post(sim.engineUrl, '/v1/chat/completions', { ...chat, stream: true }, true, signal)

const start = async (options: SimOptions = {}): Promise<void> => {
  sim = await startSim({ eventFlushMs: 0, ...options })
}

describe('a restart', () => {
  it('of the engine clears its cache; LMCache restores whole chunks', async () => {
    await start()
    await cached(ids(600))
    const warm = await cached(ids(600))

    await sim.restartEngine()

    expect(warm).toBe(592)
    expect(await cached(ids(600))).toBe(512)
  })

  it('of engine and LMCache loses L1; L2 restores', async () => {
    await start()
    await cached(ids(600))

    await sim.restartLmcache()
    await sim.restartEngine()

    expect((await lookup()).flatMap((result) => result.placements.map((p) => p.tier))).not.toContain('l1')
    expect(await cached(ids(600))).toBe(512)
  })

  it('of the coordinator loses placements and keeps pins', async () => {
    await start()
    await cached(ids(600))
    const key = { token_ids: ids(600), model_name: sim.root, world_size: 1, cache_salt: 's' }
    await post(sim.coordinatorUrl, '/cache/pins', key)

    await sim.restartCoordinator()

    const pins = (await (await fetch(`${sim.coordinatorUrl}/cache/pins`)).json()) as { total: number }
    expect((await lookup()).flatMap((result) => result.placements)).toEqual([])
    expect(pins.total).toBe(2)
  })

  it('refuses connections while it is down', async () => {
    await start()

    const restarted = sim.restartEngine({ downMs: 50 })
    const refused = await fetch(`${sim.engineUrl}/health`).catch((error: Error) => error)
    await restarted

    expect(refused).toBeInstanceOf(Error)
    expect((await fetch(`${sim.engineUrl}/health`)).status).toBe(200)
  })
})

describe('a server that is down', () => {
  it('lets the engine work without LMCache', async () => {
    await start()
    await sim.setOnline('lmcache', false)

    await cached(ids(600))
    await sim.restartEngine()

    expect(await cached(ids(600))).toBe(0)
    await expect(fetch(`${sim.lmcacheUrl}/healthcheck`)).rejects.toThrow()
  })

  it('misses events while it is down: the coordinator', async () => {
    await start()
    await sim.setOnline('coordinator', false)
    await cached(ids(600))
    await new Promise((resolve) => setTimeout(resolve, 5))

    await sim.setOnline('coordinator', true)

    expect((await lookup()).flatMap((result) => result.placements)).toEqual([])
  })
})

describe('a fault', () => {
  const path = '/v1/chat/completions'

  it('answers with another status, once', async () => {
    await start()
    sim.fault({ path, action: { kind: 'status', status: 503, body: { error: 'busy' } } })

    const first = await post(sim.engineUrl, path, chat)

    expect([first.status, await first.json()]).toEqual([503, { error: 'busy' }])
    expect((await post(sim.engineUrl, path, chat)).status).toBe(200)
  })

  it('applies after the skipped requests, as often as ordered, until it is removed', async () => {
    await start()
    const status = async () => (await fetch(`${sim.engineUrl}/health`)).status
    const remove = sim.fault({
      path: '/heal*',
      after: 1,
      times: Number.POSITIVE_INFINITY,
      action: { kind: 'status', status: 500 },
    })

    const seen = [await status(), await status(), await status()]
    remove()

    expect([...seen, await status()]).toEqual([200, 500, 500, 200])
  })

  it.each([['reset'], ['die-before-headers']] as const)('closes the connection without an answer: %s', async (kind) => {
    await start()
    sim.fault({ path, action: { kind } })

    await expect(streamed()).rejects.toThrow()
  })

  it('breaks a stream after a number of events', async () => {
    await start()
    sim.fault({ path, action: { kind: 'die-after-events', events: 2 } })

    expect(await textUntilBreak(await streamed())).toMatch(/^(data: .*\n\n){2}$/)
  })

  it('breaks a stream in the middle of an event', async () => {
    await start()
    sim.fault({ path, action: { kind: 'die-in-event', events: 1 } })

    expect(await textUntilBreak(await streamed())).toMatch(/^data: .*\n\ndata: [^\n]+$/)
  })

  it('breaks a stream after its headers', async () => {
    await start()
    sim.fault({ path, action: { kind: 'die-after-headers' } })

    expect(await textUntilBreak(await streamed())).toBe('')
  })

  it('announces more bytes than it sends', async () => {
    await start()
    sim.fault({ path, action: { kind: 'wrong-length' } })

    await expect((await post(sim.engineUrl, path, chat, true)).text()).rejects.toThrow()
  })

  it('stalls a stream and keeps the connection open', async () => {
    await start()
    sim.fault({ path, action: { kind: 'stall', events: 1 } })
    const client = new AbortController()
    const reader = (await streamed(client.signal)).body?.getReader()

    await reader?.read()
    const next = await Promise.race([reader?.read(), new Promise((resolve) => setTimeout(resolve, 50, 'silence'))])
    client.abort()

    expect(next).toBe('silence')
  })
})

/** The received part of a stream; throws if the stream ended cleanly. */
async function textUntilBreak(response: Response): Promise<string> {
  let text = ''
  try {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk as Uint8Array).toString()
  } catch {
    return text
  }
  throw new Error(`the stream ended cleanly after: ${text}`)
}

describe('a script', () => {
  it('prescribes replies, and tool calls only if tools are offered', async () => {
    await start()
    sim.script({ toolCalls: [{ name: 'weather', arguments: { city: 'Rome' } }] })
    sim.script({ content: 'Four.', reasoning: 'Two and two.' })
    const ask = async (more: object) => {
      const json = (await (
        await post(sim.engineUrl, '/v1/chat/completions', { ...chat, max_tokens: 99, ...more })
      ).json()) as {
        choices: { message: { content: unknown; reasoning: unknown; tool_calls?: unknown }; finish_reason: string }[]
      }
      return json.choices[0]
    }

    const plain = await ask({})
    const withTools = await ask({ tools: [{ type: 'function', function: { name: 'weather' } }] })

    expect(plain?.message).toMatchObject({ content: 'Four.', reasoning: 'Two and two.' })
    expect(withTools?.finish_reason).toBe('tool_calls')
    expect(withTools?.message.tool_calls).toMatchObject([
      { function: { name: 'weather', arguments: '{"city":"Rome"}' } },
    ])
  })
})

describe('features without a counterpart in the test engine', () => {
  it('an adapter has its own cache in the engine, and shares keys in LMCache', async () => {
    await start({ adapters: [{ name: 'lora', path: './lora' }] })
    await cached(ids(600))
    await sim.restartEngine()

    // This is why the served name is part of cwm's salt (docs/engine-behavior.md#chunk-keys).
    expect(await cached(ids(600), { model: 'lora' })).toBe(512)
  })

  it('each of several ranks has a key for every chunk', async () => {
    await start({ worldSize: 2 })
    await cached(ids(600))
    await new Promise((resolve) => setTimeout(resolve, 5))

    const results = await lookup()

    expect(results).toHaveLength(4)
    expect(results.every((result) => result.placements.length === 3)).toBe(true)
  })

  it('L1 may be too small for a sequence: a prefetch then counts what fits', async () => {
    await start({ chunkBytes: 100, l1Bytes: 100 })
    await cached(ids(600))
    const key = { token_ids: ids(600), model_name: sim.root, world_size: 1, cache_salt: 's' }

    const job = (await (await post(sim.lmcacheUrl, '/cache/prefetches', key)).json()) as { request_id: string }
    const done = await (await fetch(`${sim.lmcacheUrl}/cache/prefetches/${job.request_id}`)).json()

    expect(done).toMatchObject({ found_keys: 1, total_keys: 2 })
  })
})

describe('starting', () => {
  it('leaves nothing running if a port is taken', async () => {
    await start()
    const taken = Number(new URL(sim.engineUrl).port)
    const probe = await startSim()
    const free = Number(new URL(probe.lmcacheUrl).port)
    await probe.close()

    const second = startSim({ enginePort: taken, lmcachePort: free })

    await expect(second).rejects.toThrow('EADDRINUSE')
    await expect(fetch(`http://127.0.0.1:${free}/healthcheck`)).rejects.toThrow()
  })
})

describe('the engine', () => {
  it('delays uncached tokens only', async () => {
    // Slow enough that delays of a busy machine are small in comparison.
    await start({ prefillTokensPerSecond: 1000 })
    const timed = async () => {
      const began = performance.now()
      await cached(ids(600))
      return performance.now() - began
    }

    const cold = await timed()
    const warm = await timed()

    expect(cold).toBeGreaterThan(590)
    expect(warm).toBeLessThan(cold / 2)
  })

  it('stops a prefill when the client disconnects', async () => {
    await start({ prefillTokensPerSecond: 100 })
    const client = new AbortController()
    const gone = streamed(client.signal).then((response) => response.text())
    const load = async () =>
      ((await (await fetch(`${sim.engineUrl}/load`)).json()) as { server_load: number }).server_load
    await until('the engine is at work', async () => (await load()) === 1)

    client.abort()

    await expect(gone).rejects.toThrow()
    await until('the engine is at rest', async () => (await load()) === 0)
  })

  it('logs requests as they were received', async () => {
    await start({ requestLog: 2 })
    await fetch(`${sim.engineUrl}/health`)
    await fetch(`${sim.engineUrl}/version?x=1`)
    await post(sim.engineUrl, '/tokenize', { prompt: 'a' })

    expect(sim.requests.all('engine').map(({ path }) => path)).toEqual(['/version?x=1', '/tokenize'])
    expect(sim.requests.last()?.body.toString()).toBe('{"prompt":"a"}')
  })

  it('omits cached tokens without prompt tokens details', async () => {
    await start({ promptTokensDetails: false })

    const json = (await (await post(sim.engineUrl, '/v1/chat/completions', chat)).json()) as { usage: object }

    expect(json.usage).toMatchObject({ prompt_tokens_details: null })
  })
})

async function until(label: string, holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 2000
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within 2 s: ${label}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
