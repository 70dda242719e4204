// An idle engine with LMCache gets a call now and then (setting keep_awake_ms). It leaves one chunk, and nothing in cwm.

import { expect, it } from 'vitest'
import type { PageJson } from '../../src/wire/lists.ts'
import { until } from '../support/deadline.ts'
import { rest } from '../support/rest.ts'
import { type StackOptions, startStack } from '../support/stack.ts'

async function callsOf(options: StackOptions, atLeast: number) {
  const stack = await startStack(options)
  const calls = () => stack.sim.requests.all('engine').filter(({ path }) => path === '/v1/completions')
  try {
    await until('the calls', () => calls().length >= atLeast)
    const { data } = await rest<PageJson<unknown>>(stack.url, 'GET', '/sessions')
    return { bodies: calls().map(({ body }) => JSON.parse(String(body)) as Record<string, unknown>), sessions: data }
  } finally {
    await stack.close()
  }
}

it('calls an idle engine again and again with the same chunk, under one salt, in no session', async () => {
  const { bodies, sessions } = await callsOf({ settings: { keep_awake_ms: 40 } }, 3)

  expect(new Set(bodies.map(({ cache_salt }) => cache_salt))).toHaveLength(1)
  expect(bodies[0]).toMatchObject({ max_tokens: 1, cache_salt: expect.stringMatching(/^[\w-]{43}$/) })
  expect(new Set(bodies.map(({ prompt }) => JSON.stringify(prompt)))).toHaveLength(1)
  expect(bodies[0]?.prompt).toHaveLength(257)
  expect(sessions).toEqual([])
})
