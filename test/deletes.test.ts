// Deletes on a degraded fleet: what remains must be counted, and what cannot be known must be reported.

import { afterEach, expect, it } from 'vitest'
import { LmcacheClient } from '../src/kv/lmcache/client.ts'
import { discoverLmcache } from '../src/kv/lmcache/discover.ts'
import type { Sequence } from '../src/kv/lmcache/sequence.ts'
import { type Sim, type SimOptions, startSim } from '../src/sim/index.ts'
import { until } from './support/deadline.ts'
import { recorded } from './support/recorded.ts'

const CHUNK = 64
const CHUNKS = 3
const tokenIds = Array.from({ length: CHUNKS * CHUNK + 10 }, (_, i) => 100 + (i % 90))
let sim: Sim

afterEach(() => sim?.close())

interface Fleet {
  readonly client: LmcacheClient
  readonly sequence: Sequence
  /** Computes the sequence, under `salt` or its own, and waits until the directory shows `placements` of its chunks. */
  store(placements: number, salt?: string): Promise<void>
  remove(request?: Partial<Parameters<LmcacheClient['deleteChunks']>[0]>): ReturnType<LmcacheClient['deleteChunks']>
}

async function start(options: SimOptions = {}): Promise<Fleet> {
  sim = await startSim({ chunkSize: CHUNK, chunkBytes: 1024, l1Bytes: 1024 * 1024, ...options })
  const sequence = {
    tokenIds,
    salt: 'a-salt',
    keys: { engineName: sim.root, worldSize: sim.settings.worldSize, chunkSize: CHUNK },
  }
  const client = await clientOf(sim)
  return {
    client,
    sequence,
    store: async (placements, salt = sequence.salt) => {
      const body = { model: sim.model, prompt: tokenIds, max_tokens: 1, cache_salt: salt }
      await post('/v1/completions', body)
      await until('the directory shows it', async () => (await count(salt)) === placements)
    },
    remove: (request) => client.deleteChunks({ sequences: [{ sequence, from: 0 }], ...request }, { deadlineMs: 800 }),
  }
}

async function clientOf({ coordinatorUrl }: Sim): Promise<LmcacheClient> {
  const target = await discoverLmcache({ coordinatorUrl, timeoutMs: 5_000 })
  return new LmcacheClient({ target, timeoutMs: 5_000 })
}

async function post(path: string, body: unknown): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(sim.engineUrl + path, { method: 'POST', headers, body: JSON.stringify(body) })
  await answer.text()
}

/** Placements of the sequence in the directory under a salt. */
async function count(cache_salt: string): Promise<number> {
  const body = { token_ids: tokenIds, model_name: sim.root, world_size: sim.settings.worldSize, cache_salt }
  const headers = { 'content-type': 'application/json' }
  const url = `${sim.coordinatorUrl}/directory/lookup`
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  const { results } = (await answer.json()) as { results: { placements: unknown[] }[] }
  return results.reduce((sum, { placements }) => sum + placements.length, 0)
}

const PLACES = 3 // l1, fs, resp
const gone = { deletedChunks: CHUNKS, residualChunks: 0, keptChunks: 0, warnings: [] }

it('reaches the second server as well', async () => {
  const { store, sequence } = await start({ servers: 2 })
  await store(CHUNKS * PLACES)
  sim.attachEngine('lmcache-2')
  await post('/reset_prefix_cache', {})
  await store(2 * CHUNKS * PLACES)

  // A new client: the second server had no engine when the first client looked.
  const fresh = await clientOf(sim)
  const remove = () => fresh.deleteChunks({ sequences: [{ sequence, from: 0 }] }, { deadlineMs: 800 })
  const result = await remove()

  expect(result).toEqual(gone)
  expect(await count(sequence.salt)).toBe(0)
  expect(await remove()).toEqual({ ...gone, deletedChunks: 0 })
})

it('names the server that did not answer, and what it still has', async () => {
  const { store, remove } = await start({ servers: 2 })
  sim.attachEngine('lmcache-2')
  await store(CHUNKS * PLACES)
  await sim.setOnline('lmcache-2', false)

  const { deletedChunks, residualChunks, warnings } = await remove()

  expect({ deletedChunks, residualChunks }).toEqual({ deletedChunks: 0, residualChunks: CHUNKS })
  expect(warnings).toContainEqual(expect.stringMatching(/LMCache at .* refused the connection/))
  expect(warnings).toContain(`the directory still shows ${CHUNKS} keys in node-b l2 fs`)
})

it('leaves a server unverified that does not answer, even if the directory shows nothing there', async () => {
  const { store, remove } = await start({ servers: 2 })
  await store(CHUNKS * PLACES)
  await sim.setOnline('lmcache-2', false)

  const { deletedChunks, residualChunks } = await remove()

  expect({ deletedChunks, residualChunks }).toEqual({ deletedChunks: CHUNKS, residualChunks: null })
})

it('counts the chunks of an adapter that accepts a delete but ignores it', async () => {
  const { store, remove } = await start({ undeletableAdapters: ['resp'] })
  await store(CHUNKS * PLACES)

  const { deletedChunks, residualChunks, warnings } = await remove()

  expect({ deletedChunks, residualChunks }).toEqual({ deletedChunks: 0, residualChunks: CHUNKS })
  expect(warnings).toEqual([
    `an L2 adapter still had ${CHUNKS} keys after they were deleted from it`,
    `the directory still shows ${CHUNKS} keys in node-a l2 resp`,
  ])
})

it('reports that the second of two adapters of one type is unreachable', async () => {
  const { store, remove } = await start({ l2Adapters: ['fs', 'fs'] })
  await store(CHUNKS * 2)

  const { warnings } = await remove()

  expect(warnings).toEqual([expect.stringContaining('has several fs adapters: only the first was asked')])
})

it('continues with the other adapters if one fails, and tries again', async () => {
  const { store, remove } = await start()
  await store(CHUNKS * PLACES)
  const failure = { deleted: 0, skipped: 0, ok: false, error: 'timed out on a-salt' }
  sim.fault({
    server: 'lmcache',
    method: 'DELETE',
    path: '/cache/objects',
    after: 1,
    action: { kind: 'status', status: 200, body: failure },
  })

  expect(await remove()).toEqual(gone)
})

it('reports an adapter that keeps failing, without its message', async () => {
  const { store, remove } = await start({ l2Adapters: ['fs'] })
  await store(CHUNKS * 2)
  const failure = { deleted: 0, skipped: 0, ok: false, error: 'timed out on a-salt' }
  const action = { kind: 'status', status: 200, body: failure } as const
  sim.fault({ server: 'lmcache', method: 'DELETE', path: '/cache/objects', times: Infinity, action })

  const { residualChunks, warnings } = await remove()

  expect(residualChunks).toBe(CHUNKS)
  expect(warnings).toContainEqual(expect.stringContaining('could not delete from its L2 adapter fs'))
  expect(warnings.join()).not.toContain('a-salt')
})

it('counts chunks that a running store or load uses', async () => {
  const { store, remove } = await start()
  await store(CHUNKS * PLACES)
  const unlock = sim.lockL1()

  const locked = await remove()
  unlock()
  const free = await remove()

  expect(locked).toMatchObject({ deletedChunks: 0, residualChunks: CHUNKS })
  expect(locked.warnings).toContain(`${CHUNKS} keys are in use by a store or a load`)
  expect(free).toEqual(gone)
})

it('ignores a probe if L1 lacks space for it', async () => {
  const { store, remove } = await start({ l1Bytes: CHUNKS * 1024 + 1024 })
  await store(CHUNKS * PLACES)
  await store(CHUNKS * PLACES, 'another-salt')

  const { residualChunks, warnings } = await remove()

  expect(residualChunks).toBeNull()
  expect(warnings).toContainEqual(expect.stringContaining('could report what is left'))
})

it('finds chunks that a restarted directory no longer shows', async () => {
  const { store, remove } = await start()
  await store(CHUNKS * PLACES)
  await sim.restartCoordinator()
  // The first call on a connection cut by the restart may fail.
  await until('the coordinator is back', () =>
    count('a-salt').then(
      (n) => n === 0,
      () => false,
    ),
  )

  expect(await remove()).toEqual(gone)
})

it('does not count chunks that the directory shows but no server has, because they were lost silently', async () => {
  const { store, remove } = await start()
  await store(CHUNKS * PLACES)
  for (const adapter of ['fs', 'resp']) sim.loseL2(adapter)

  expect(await remove()).toEqual(gone)
})

it('relies on the directory alone for a scan of the salt', async () => {
  const { store, remove, sequence } = await start()
  await store(CHUNKS * PLACES)
  for (const adapter of ['fs', 'resp']) sim.loseL2(adapter)

  const { residualChunks, warnings } = await remove({ sequences: [], salts: new Set([sequence.salt]) })

  expect(residualChunks).toBe(CHUNKS)
  expect(warnings.at(-1)).toContain('may have been lost earlier')
})

it('deletes every rank of a chunk and counts it once', async () => {
  const { store, remove } = await start({ worldSize: 2 })
  await store(2 * CHUNKS * PLACES)

  expect(await remove()).toEqual(gone)
})

it('finds the keys of a salt in the directory, and deletes none of another', async () => {
  const { store, remove, sequence } = await start()
  await store(CHUNKS * PLACES)
  await store(CHUNKS * PLACES, 'another-salt')

  const result = await remove({ sequences: [], salts: new Set([sequence.salt]) })

  expect(result).toEqual(gone)
  expect(await count('another-salt')).toBe(CHUNKS * PLACES)
})

it('deletes nothing without a coordinator, and reports that', async () => {
  const { sequence } = await start()
  const bare = new LmcacheClient({ target: { pins: false, servers: [] }, timeoutMs: 1_000 })

  const result = await bare.deleteChunks({ sequences: [{ sequence, from: 0 }] }, { deadlineMs: 1_000 })

  expect(result).toMatchObject({ deletedChunks: 0, residualChunks: null })
  expect(result.warnings).toEqual([expect.stringContaining('no coordinator')])
})

it("rejects with the caller's reason on abort", async () => {
  const { store, client, sequence } = await start()
  await store(CHUNKS * PLACES)
  const controller = new AbortController()
  const reason = new Error('stop')
  sim.fault({ server: 'lmcache', path: '/cache/objects', action: { kind: 'stall' } })
  const result = client.deleteChunks(
    { sequences: [{ sequence, from: 0 }] },
    { deadlineMs: 800, signal: controller.signal },
  )

  controller.abort(reason)

  await expect(result).rejects.toBe(reason)
})

it('a salt without a quota is wiped by IsolatedLRU, and one with a quota is kept', async () => {
  const { store, client } = await start({ isolatedLru: true })
  expect(client.requiresQuotas).toBe(true)
  const set = await client.setQuota('a-salt', 1)
  await store(CHUNKS * PLACES)
  await store(CHUNKS, 'another-salt')

  const removed = await client.removeQuota('a-salt')
  await until('the salt is wiped', async () => (await count('a-salt')) === CHUNKS)

  expect([set, removed]).toEqual(Array(2).fill({ complete: true, failures: [] }))
})

// The real stack has no such adapter: this compares the simulator with the status of a server that has one.
it('recognizes IsolatedLRU by its recorded status', async () => {
  await start({ isolatedLru: true, l2Adapters: ['fs'] })

  const here = (await (await fetch(`${sim.lmcacheUrl}/status`)).json()) as unknown

  expect(evictionOf(here)).toEqual(evictionOf(recorded('lmcache-quota', 'status, IsolatedLRU').response.body))
})

const evictionOf = (status: unknown) =>
  (status as { storage_manager: { l2_eviction_controller: unknown } }).storage_manager.l2_eviction_controller

it("requires no quotas elsewhere, and rejects the salt whose quota is the empty salt's", async () => {
  const { client } = await start()

  expect(client.requiresQuotas).toBe(false)
  await expect(client.setQuota('_default', 1)).rejects.toMatchObject({ code: 'NOT_SUPPORTED' })
})

it('reports which server has not accepted a quota, without the salt', async () => {
  const { client } = await start({ isolatedLru: true })
  await sim.setOnline('lmcache', false)

  const { complete, failures } = await client.setQuota('a-salt', 1)

  expect(complete).toBe(false)
  expect(failures).toEqual([expect.stringContaining('(PUT /quota/…)')])
  expect(failures.join()).not.toContain('a-salt')
})
