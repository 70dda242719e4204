// What the servers report about themselves.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { field, list, openTarget, type Target } from './target.ts'

let target: Target

beforeAll(async () => {
  target = await openTarget()
})

afterAll(() => target?.close())

it("distinguishes the served name from the engine's own, which LMCache uses", async () => {
  const { json } = await target.call('lmcache', 'GET', '/status')
  const metas = Object.values({ ...(field(json, 'non_cuda_context_meta') as object) })

  expect(target.model).not.toBe(target.root)
  expect(metas.map((meta) => field(meta, 'model_name'))).toContain(target.root)
  expect(target.limit).toBeGreaterThan(0)
})

it('reports its version', async () => {
  const { json } = await target.call('engine', 'GET', '/version')

  expect(field(json, 'version')).toMatch(/^\d+\.\d+/)
})

it.each(['/health', '/ping'])('answers %s with an empty body', async (path) => {
  const { status, text } = await target.call('engine', 'GET', path)

  expect([status, text]).toEqual([200, ''])
})

it('converts its ids back to the text', async () => {
  const prompt = 'The Aurora came in at nine: 12 crates, “fragile”.'
  const { json } = await target.call('engine', 'POST', '/tokenize', { model: target.model, prompt })

  const back = await target.call('engine', 'POST', '/detokenize', {
    model: target.model,
    tokens: field(json, 'tokens'),
  })

  expect(field(back.json, 'prompt')).toBe(prompt)
  expect(list(field(json, 'tokens'))).toHaveLength(Number(field(json, 'count')))
  expect(field(json, 'max_model_len')).toBe(target.limit)
})
