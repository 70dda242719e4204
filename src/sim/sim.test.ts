// The simulated stack as a whole: what survives which restart, what faults do to a client, and what only it can simulate.

import { afterEach, describe, expect, it } from 'vitest'
import { type Sim, type SimOptions, startSim } from './index.ts'

let sim: Sim

afterEach(() => sim.close())

const ids = (count: number): number[] => Array.from({ length: count }, (_, i) => 1000 + (i % 900))

// A connection of its own where a restart may break the one that fetch keeps. Not for streams that break: after
// `connection: close` the fetch of Node 20 takes a body that broke off for a whole one (undici 7 does not).
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
  it('of the engine forgets its cache, and LMCache restores whole chunks', async () => {
    await start()
    await cached(ids(600))
    const warm = await cached(ids(600))

    await sim.restartEngine()

    expect(warm).toBe(592)
    expect(await cached(ids(600))).toBe(512)
  })

  it('of engine and LMCache loses L1, and L2 restores', async () => {
    await start()
    await cached(ids(600))

    await sim.restartLmcache()
    await sim.restartEngine()

    expect((await lookup()).flatMap((result) => result.placements.map((p) => p.tier))).not.toContain('l1')
    expect(await cached(ids(600))).toBe(512)
  })

  it('of the coordinator forgets placements and keeps pins', async () => {
    await start()
    await cached(ids(600))
    const key = { token_ids: ids(600), model_name: sim.root, world_size: 1, cache_salt: 's' }
    await post(sim.coordinatorUrl, '/cache/pins', key)

    await sim.restartCoordinator()

    const pins = (await (await fetch(`${sim.coordinatorUrl}/cache/pins`)).json()) as { total: number }
    expect((await lookup()).flatMap((result) => result.placements)).toEqual([])
    expect(pins.total).toBe(2)
  })

  it('refuses connections for a while', async () => {
    await start()

    const restarted = sim.restartEngine({ downMs: 50 })
    const refused = await fetch(`${sim.engineUrl}/health`).catch((error: Error) => error)
    await restarted

    expect(refused).toBeInstanceOf(Error)
    expect((await fetch(`${sim.engineUrl}/health`)).status).toBe(200)
  })
})

describe('a server that is down', () => {
  it('leaves the engine at work without LMCache', async () => {
    await start()
    await sim.setUp('lmcache', false)

    await cached(ids(600))
    await sim.restartEngine()

    expect(await cached(ids(600))).toBe(0)
    await expect(fetch(`${sim.lmcacheUrl}/healthcheck`)).rejects.toThrow()
  })

  it('misses the events of its time: the coordinator', async () => {
    await start()
    await sim.setUp('coordinator', false)
    await cached(ids(600))
    await new Promise((resolve) => setTimeout(resolve, 5))

    await sim.setUp('coordinator', true)

    expect((await lookup()).flatMap((result) => result.placements)).toEqual([])
  })
})

describe('a fault', () => {
  const path = '/v1/chat/completions'

  it('answers another status, once', async () => {
    await start()
    sim.fault({ path, action: { kind: 'status', status: 503, body: { error: 'busy' } } })

    const first = await post(sim.engineUrl, path, chat)

    expect([first.status, await first.json()]).toEqual([503, { error: 'busy' }])
    expect((await post(sim.engineUrl, path, chat)).status).toBe(200)
  })

  it('strikes after so many requests, as often as ordered, until it is taken back', async () => {
    await start()
    const status = async () => (await fetch(`${sim.engineUrl}/health`)).status
    const undo = sim.fault({
      path: '/heal*',
      after: 1,
      times: Number.POSITIVE_INFINITY,
      action: { kind: 'status', status: 500 },
    })

    const seen = [await status(), await status(), await status()]
    undo()

    expect([...seen, await status()]).toEqual([200, 500, 500, 200])
  })

  it.each([['reset'], ['die-before-headers']] as const)('breaks the connection without an answer: %s', async (kind) => {
    await start()
    sim.fault({ path, action: { kind } })

    await expect(streamed()).rejects.toThrow()
  })

  it('breaks a stream after so many events', async () => {
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

  it('promises more bytes than come', async () => {
    await start()
    sim.fault({ path, action: { kind: 'wrong-length' } })

    await expect((await post(sim.engineUrl, path, chat, true)).text()).rejects.toThrow()
  })

  it('stalls a stream and keeps the connection', async () => {
    await start()
    sim.fault({ path, action: { kind: 'stall', events: 1 } })
    const leave = new AbortController()
    const reader = (await streamed(leave.signal)).body?.getReader()

    await reader?.read()
    const next = await Promise.race([reader?.read(), new Promise((resolve) => setTimeout(resolve, 50, 'silence'))])
    leave.abort()

    expect(next).toBe('silence')
  })
})

/** What came of a stream; fails if it ended in order. */
async function textUntilBreak(response: Response): Promise<string> {
  let text = ''
  try {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk as Uint8Array).toString()
  } catch {
    return text
  }
  throw new Error(`the stream ended in order after: ${text}`)
}

describe('a script', () => {
  it('puts words into the mouth, tool calls only where tools are offered', async () => {
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

describe('what the real stack does not have here', () => {
  it('an adapter has a cache of its own in the engine, and shares its keys in LMCache', async () => {
    await start({ adapters: [{ name: 'lora', path: './lora' }] })
    await cached(ids(600))
    await sim.restartEngine()

    // Why the served name is part of cwm's salt (docs/engine-behavior.md#chunk-keys).
    expect(await cached(ids(600), { model: 'lora' })).toBe(512)
  })

  it('several ranks have a key each for every chunk', async () => {
    await start({ worldSize: 2 })
    await cached(ids(600))
    await new Promise((resolve) => setTimeout(resolve, 5))

    const results = await lookup()

    expect(results).toHaveLength(4)
    expect(results.every((result) => result.placements.length === 3)).toBe(true)
  })

  it('L1 can be too small for a sequence: a prefetch then counts what fits', async () => {
    await start({ chunkBytes: 100, l1Bytes: 100 })
    await cached(ids(600))
    const key = { token_ids: ids(600), model_name: sim.root, world_size: 1, cache_salt: 's' }

    const job = (await (await post(sim.lmcacheUrl, '/cache/prefetches', key)).json()) as { request_id: string }
    const done = await (await fetch(`${sim.lmcacheUrl}/cache/prefetches/${job.request_id}`)).json()

    expect(done).toMatchObject({ found_keys: 1, total_keys: 2 })
  })
})

describe('starting', () => {
  it('leaves nothing behind where a port is taken', async () => {
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
  it('takes its time for what is not cached only', async () => {
    // Slow enough that a busy machine's delays are small beside it.
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

  it('stops a prefill when the client leaves', async () => {
    await start({ prefillTokensPerSecond: 100 })
    const leave = new AbortController()
    const gone = streamed(leave.signal).then((response) => response.text())
    const load = async () =>
      ((await (await fetch(`${sim.engineUrl}/load`)).json()) as { server_load: number }).server_load
    await until('the engine is at work', async () => (await load()) === 1)

    leave.abort()

    await expect(gone).rejects.toThrow()
    await until('the engine is at rest', async () => (await load()) === 0)
  })

  it('logs requests as they came', async () => {
    await start({ requestLog: 2 })
    await fetch(`${sim.engineUrl}/health`)
    await fetch(`${sim.engineUrl}/version?x=1`)
    await post(sim.engineUrl, '/tokenize', { prompt: 'a' })

    expect(sim.requests.all('engine').map(({ path }) => path)).toEqual(['/version?x=1', '/tokenize'])
    expect(sim.requests.last()?.body.toString()).toBe('{"prompt":"a"}')
  })

  it('tells no cached tokens without prompt tokens details', async () => {
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
