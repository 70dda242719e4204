// What a pooling model answers. On the simulator, or with CWM_CONTRACT=engine on a real one: POOLING=1 npm run engine:up. A text model has none
// of these paths, so these tests are skipped there.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { field, list, longText, newSalt, openTarget, type Target } from './target.ts'

const probe = await openTarget()
const { paths } = (await probe.call('engine', 'GET', '/openapi.json')).json as { paths: Record<string, unknown> }
await probe.close()
const isPooling = Object.hasOwn(paths, '/v1/embeddings')
if (!isPooling)
  console.log('test/contracts/engine/pooling.test.ts: skipped; start a pooling model: POOLING=1 npm run engine:up')

describe.skipIf(!isPooling)('a pooling model', () => {
  let target: Target
  beforeAll(async () => {
    target = await openTarget()
  })
  afterAll(() => target?.close())

  const post = async (path: string, body: object) => {
    const { status, json } = await target.call('engine', 'POST', path, { model: target.model, ...body })
    return { status, json: json as Record<string, unknown> }
  }
  const keysOf = (value: unknown) => Object.keys(value as object).sort()
  const usageKeys = [
    'completion_tokens',
    'completion_tokens_details',
    'prompt_tokens',
    'prompt_tokens_details',
    'total_tokens',
  ]

  it('answers embeddings, as floats or as base64', async () => {
    const { status, json } = await post('/v1/embeddings', { input: ['a', 'b'], cache_salt: newSalt() })
    const packed = await post('/v1/embeddings', { input: 'a', encoding_format: 'base64' })

    expect(status).toBe(200)
    expect(keysOf(json)).toEqual(['created', 'data', 'id', 'model', 'object', 'usage'])
    expect(list(json.data).map((item) => [keysOf(item), field(item, 'index'), field(item, 'object')])).toEqual([
      [['embedding', 'index', 'object'], 0, 'embedding'],
      [['embedding', 'index', 'object'], 1, 'embedding'],
    ])
    expect(keysOf(json.usage)).toEqual(usageKeys)
    const vector = list(field(json, 'data.0.embedding')) as number[]
    expect(Math.hypot(...vector)).toBeCloseTo(1, 3)
    const bytes = Buffer.from(String(field(packed.json, 'data.0.embedding')), 'base64')
    expect(bytes.length).toBe(4 * vector.length)
    expect(bytes.readFloatLE(0)).toBeCloseTo(vector[0] ?? 0, 4)
  })

  it('answers poolings', async () => {
    const { status, json } = await post('/pooling', { input: 'a', cache_salt: newSalt() })

    expect(status).toBe(200)
    expect(keysOf(json)).toEqual(['created', 'data', 'id', 'model', 'object', 'usage'])
    expect(keysOf(field(json, 'data.0'))).toEqual(['data', 'index', 'object'])
  })

  it.each(['/score', '/v1/score'])('answers scores on %s', async (path) => {
    const { status, json } = await post(path, { queries: 'a', documents: ['a', 'b'], cache_salt: newSalt() })

    expect(status).toBe(200)
    expect(keysOf(json)).toEqual(['created', 'data', 'id', 'model', 'object', 'usage'])
    expect(list(json.data).map((item) => keysOf(item))).toEqual([
      ['index', 'object', 'score'],
      ['index', 'object', 'score'],
    ])
    expect(field(json, 'data.0.score')).toBeCloseTo(1, 3)
    expect(keysOf(json.usage)).toEqual(usageKeys)
  })

  it.each(['/rerank', '/v1/rerank', '/v2/rerank'])('answers rerankings on %s, the best first', async (path) => {
    const { status, json } = await post(path, { query: 'a', documents: ['b', 'a'], cache_salt: newSalt() })

    expect(status).toBe(200)
    expect(keysOf(json)).toEqual(['id', 'model', 'results', 'usage'])
    expect(list(json.results).map((item) => field(item, 'index'))).toEqual([1, 0])
    expect(keysOf(field(json, 'results.0'))).toEqual(['document', 'index', 'relevance_score'])
    expect(field(json, 'results.0.document.text')).toBe('a')
    expect(keysOf(json.usage)).toEqual(['prompt_tokens', 'total_tokens'])
  })

  it('rejects a salt that keys cannot hold, on every path', async () => {
    const bodies: readonly (readonly [string, object])[] = [
      ['/v1/embeddings', { input: 'a' }],
      ['/pooling', { input: 'a' }],
      ['/v1/score', { queries: 'a', documents: ['a'] }],
      ['/v1/rerank', { query: 'a', documents: ['a'] }],
    ]

    const answers = await Promise.all(bodies.map(([path, body]) => post(path, { ...body, cache_salt: 'a/b' })))

    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 400])
  })

  it('stores the KV of an embedding in LMCache, under its salt', async () => {
    const salt = newSalt()

    const { json } = await post('/v1/embeddings', { input: longText(700), cache_salt: salt })

    const tokens = Number(field(json, 'usage.prompt_tokens'))
    const stored = async () => {
      const answer = await target.call('coordinator', 'GET', '/directory/keys?limit=10000')
      return list(field(answer.json, 'keys')).filter((key) => JSON.stringify(key).includes(salt)).length
    }
    const wanted = Math.floor(tokens / target.chunkSize)
    for (const end = Date.now() + 20_000; (await stored()) < wanted && Date.now() < end; ) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    expect(wanted).toBeGreaterThan(0)
    expect(await stored()).toBe(wanted)
  })
})
