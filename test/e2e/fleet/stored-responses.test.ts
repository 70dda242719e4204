// A stored response is at one engine of several. Its continuation, GET and cancel go there, whoever sends them and wherever else the session may
// go; one of a removed engine is not found, with the way out.

import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Ask, ask, errorOf, jsonOf } from '../../support/client.ts'
import { type Stack, startStack } from '../../support/stack.ts'

const PATH = '/v1/responses'

let stack: Stack
let urls: string[]
const listed = (...engines: readonly string[]) => ({
  upstream: engines.map((url) => ({ url, weight: 1, drain: false })),
})

beforeEach(async () => {
  stack = await startStack({ sim: { engines: 2, servers: 2 }, upstream: (sim) => sim.engines[0]?.url ?? '' })
  urls = stack.sim.engines.map(({ url }) => url)
  await stack.restart(listed(...urls))
})
afterEach(() => stack.close())

const say = (body: object, headers: Ask['headers'] = {}) =>
  ask(stack.url, PATH, { body: { model: stack.sim.model, max_output_tokens: 5, ...body }, headers })

async function respond(body: object, headers: Ask['headers'] = {}): Promise<string> {
  const got = await say(body, headers)
  if (got.status !== 200) throw new Error(`answered ${got.status}: ${got.text}`)
  return jsonOf<{ id: string }>(got).id
}

/** Requests that each engine got on this path. */
const seen = () =>
  stack.sim.engines.map(
    ({ name }) => stack.sim.requests.all(name).filter(({ path }) => path.startsWith('/v1/responses')).length,
  )

/** Responses of several sessions, with at least one at each engine. */
async function respondAtBoth(): Promise<readonly { readonly id: string; readonly at: number }[]> {
  const all: { id: string; at: number }[] = []
  for (let n = 0; n < 40 && new Set(all.map(({ at }) => at)).size < 2; n++) {
    const before = seen()
    const id = await respond({ input: `What do you know of river ${n}?` }, { 'x-cwm-session': `session-${n}` })
    all.push({ id, at: seen().findIndex((count, index) => count > (before[index] ?? 0)) })
  }
  return all
}

it('is continued and read at its engine, even after a restart of cwm and while that engine drains', async () => {
  const responses = await respondAtBoth()
  expect(new Set(responses.map(({ at }) => at))).toEqual(new Set([0, 1]))
  await stack.restart({
    upstream: urls.map((url, index) => ({ url, weight: 1, drain: index === 0 })),
  })

  for (const { id, at } of responses) {
    const before = seen()
    const read = await ask(stack.url, `${PATH}/${id}`)
    const next = await respond({ input: 'And then?', previous_response_id: id })

    expect(read.status).toBe(200)
    expect(next).not.toBe(id)
    expect(seen()[at]).toBe((before[at] ?? 0) + 2)
  }
})

it('of a removed engine is not found, with the way out', async () => {
  const responses = await respondAtBoth()
  const gone = responses.find(({ at }) => at === 1)?.id ?? ''
  const kept = responses.find(({ at }) => at === 0)?.id ?? ''
  await stack.reload(listed(urls[0] ?? ''))

  const lost = await say({ input: 'And then?', previous_response_id: gone })

  expect(lost.status).toBe(404)
  expect(errorOf(lost)).toMatchObject({
    code: 'response_not_found',
    message: expect.stringContaining('send the earlier items in `input`'),
  })
  expect((await ask(stack.url, `${PATH}/${gone}`)).status).toBe(404)
  expect((await say({ input: 'And then?', previous_response_id: kept })).status).toBe(200)
})
