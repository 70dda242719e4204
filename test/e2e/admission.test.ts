// One admission for all work, end to end: whatever face it came by, work that reaches the engine or the KV layer obeys the tenant's limit.

import { afterEach, describe, expect, it } from 'vitest'
import type { Settings } from '../../src/config/schema.ts'
import { user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { overHttp } from '../support/mcp.ts'
import { type PrefillHop, startPrefillHop } from '../support/prefill-hop.ts'
import { call } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack
let hop: PrefillHop

async function start(settings: Partial<Settings> = {}): Promise<void> {
  stack = await startStack({
    settings: { max_in_flight_per_tenant: 1, ...settings },
    upstream: async (sim) => {
      hop = await startPrefillHop(sim.engineUrl)
      return hop.url
    },
  })
}

afterEach(async () => {
  hop.open()
  await stack.close()
  await hop.close()
})

const content = (words: string) => ({ model: 'sim-model', messages: [user(words)] })
const put = (name: string) => call(stack.url, 'PUT', `/windows/${name}`, content(`The word is ${name}.`))
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i)

async function created(name: string): Promise<void> {
  const making = put(name)
  await passNext()
  expect((await making).status).toBe(201)
}

/** Lets the oldest prefill pass, once it is there. */
async function passNext(): Promise<void> {
  const pass = await until('a prefill at the engine', () => hop.held.shift())
  pass()
}

describe('with one request in flight per tenant', () => {
  it('60 windows put in parallel are prefilled one at a time', async () => {
    await start()

    const answers = numbers(60).map((i) => put(`w-${i}`))
    for (const _ of answers) await passNext()

    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(numbers(60).map(() => 201))
    expect(hop.most).toBe(1)
  })

  it('20 thaws in parallel are prefilled one at a time', async () => {
    await start()
    await created('base')

    const answers = numbers(20).map(() => call(stack.url, 'POST', '/windows/base/thaw', {}))
    for (const _ of answers) await passNext()

    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(numbers(20).map(() => 200))
    expect(hop.most).toBe(1)
  })

  it('20 thaws by MCP tools are prefilled one at a time', async () => {
    await start()
    await created('base')
    const agents = await Promise.all(numbers(20).map(() => overHttp(stack.url)))

    const results = agents.map((agent, i) =>
      agent.use('window_thaw', { window_name: 'base', new_session_id: `s-${i}` }),
    )
    for (const _ of results) await passNext()

    await Promise.all(results)
    await Promise.all(agents.map((agent) => agent.close()))
    expect(hop.most).toBe(1)
  })
})
