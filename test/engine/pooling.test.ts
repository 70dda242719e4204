// Requests without a session before a real pooling model. Skipped on a text model; to run it:
//   POOLING=1 npm run engine:up, then npx vitest run --config vitest.engine.config.ts test/engine/pooling.test.ts

import { afterEach, describe, expect, it } from 'vitest'
import { longText, measured, openai } from './support/conversations.ts'
import { type Cwm, startCwm } from './support/cwm.ts'
import { ask, coordinatorUrl, eventually, forget, hits, servedName, serves } from './support/stack.ts'

const isPooling = await serves('/v1/embeddings')
if (!isPooling) console.log('test/engine/pooling.test.ts: skipped; start a pooling model: POOLING=1 npm run engine:up')

const TOKENS = 1_200
/** Whole chunks of 256 in a text of at least that many tokens. */
const MIN_CHUNKS = 4

/** Chunks in the directory by salt. */
async function chunksBySalt(): Promise<Map<string, number>> {
  const { keys } = (await ask('GET', `${coordinatorUrl}/directory/keys?limit=10000`)) as {
    keys: { key: { cache_salt: string }; placements: unknown[] }[]
  }
  const found = new Map<string, number>()
  for (const { key, placements } of keys) {
    if (placements.length > 0) found.set(key.cache_salt, (found.get(key.cache_salt) ?? 0) + 1)
  }
  return found
}

function newSalts(all: ReadonlyMap<string, number>, known: ReadonlyMap<string, number>): [string, number][] {
  return [...all].filter(([salt]) => !known.has(salt))
}

describe.skipIf(!isPooling)('a pooling model behind cwm', () => {
  let cwm: Cwm
  afterEach(() => cwm.dispose())

  const embed = async (input: string, key: string) => {
    const before = await hits()
    const { data, usage } = await openai(cwm.url, { key }).embeddings.create({ model: await servedName(), input })
    const cached = (await hits()) - before
    return { vector: data[0]?.embedding ?? [], tokens: usage.prompt_tokens, cached }
  }

  it('shares nothing between two tenants with equal inputs, nor between two requests of one', async () => {
    cwm = await startCwm()
    const known = await chunksBySalt()
    const input = longText('two tenants', TOKENS)

    const ann = await embed(input, 'key-of-ann')
    const bob = await embed(input, 'key-of-bob')
    await forget()
    const again = await embed(input, 'key-of-ann')

    measured('embeddings', { tokens: ann.tokens, ann: ann.cached, bob: bob.cached, again: again.cached })
    expect(ann.tokens).toBeGreaterThan(1_000)
    expect([ann.cached, bob.cached, again.cached]).toEqual([0, 0, 0])
    expect(bob.vector).toEqual(ann.vector)
    const chunks = Math.floor(ann.tokens / 256)
    const own = async () => newSalts(await chunksBySalt(), known).map(([, n]) => n)
    const stored = await eventually(
      'three salts',
      own,
      (counts) => counts.length === 3 && counts.every((n) => n >= chunks),
    )
    expect(stored).toEqual([chunks, chunks, chunks])
  })

  it('shares within a tenant where the operator says so, in the engine and through LMCache', async () => {
    cwm = await startCwm({ flags: { '--isolation': 'tenant' } })
    const known = await chunksBySalt()
    const input = longText('one tenant', TOKENS)

    await embed(input, 'key-of-ann')
    const warm = await embed(input, 'key-of-ann')
    await eventually('stored', chunksBySalt, (all) => all.size > 0)
    await forget()
    const restored = await embed(input, 'key-of-ann')
    const bob = await embed(input, 'key-of-bob')

    measured('shared embeddings', { warm: warm.cached, restored: restored.cached, bob: bob.cached })
    expect(warm.cached).toBeGreaterThan(1_000)
    expect(restored.cached).toBeGreaterThanOrEqual(768)
    expect(bob.cached).toBe(0)
    // The directory learns of chunks later. Here, so that the next test does not take these for its own.
    const isWhole = (all: Map<string, number>) => newSalts(all, known).filter(([, n]) => n >= MIN_CHUNKS).length === 2
    expect(newSalts(await eventually('both stored', chunksBySalt, isWhole), known)).toHaveLength(2)
  })

  it('reranks and scores', async () => {
    cwm = await startCwm()
    const post = async (path: string, body: object) => {
      const headers = { 'content-type': 'application/json', authorization: 'Bearer key-of-ann' }
      const init = { method: 'POST', headers, body: JSON.stringify({ model: await servedName(), ...body }) }
      return (await fetch(cwm.url + path, init)).json() as Promise<Record<string, unknown>>
    }

    const reranked = await post('/v1/rerank', { query: 'harbour', documents: ['something else', 'harbour'] })
    const scored = await post('/v1/score', { queries: 'harbour', documents: ['harbour'] })

    expect(reranked).toMatchObject({ results: [{ index: 1 }, { index: 0 }] })
    expect((scored as { data: { score: number }[] }).data[0]?.score).toBeCloseTo(1, 3)
  })

  it('leaves nothing in LMCache once its tenant is erased', async () => {
    cwm = await startCwm()
    const known = await chunksBySalt()
    const { tokens } = await embed(longText('to be erased', TOKENS), 'key-of-ann')
    const own = async () => newSalts(await chunksBySalt(), known)
    const chunks = Math.floor(tokens / 256)
    await eventually('stored', own, ([first]) => first !== undefined && first[1] >= chunks)

    const erased = await cwm.rest<Record<string, unknown>>('DELETE', '/tenants/me', undefined, 'key-of-ann')

    expect(erased.body).toMatchObject({ sessions: 0, deleted_chunks: chunks, residual_chunks: 0 })
    expect(await eventually('gone', own, (left) => left.length === 0)).toEqual([])
  })
})
