// The headers that limit a question on the chat API over windows: x-cwm-select, x-cwm-budget-tokens, and x-cwm-deadline-ms.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { documentWindow, type Leftovers, leftovers, nothingLeft } from '../support/asks.ts'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack
let idle: Leftovers
beforeEach(async () => {
  stack = await startStack()
  for (const name of ['ada', 'bo', 'cy']) await documentWindow(stack.url, name)
  idle = await leftovers(stack)
})
afterEach(() => stack.close())

const post = (body: object, { headers }: { readonly headers: Record<string, string> }) =>
  ask(stack.url, '/cwm/a/law/v1/chat/completions', { body: { model: 'ask:law', ...body }, headers })
const messages = [{ role: 'user', content: 'What is the harbor called?' }]

/** Chats that reached the engine after its first `from` requests. */
const chatsAt = (from: number) =>
  stack.sim.requests
    .all('engine')
    .slice(from)
    .filter(({ path }) => path === '/v1/chat/completions')

describe('headers of a question', () => {
  const select = { 'x-cwm-select': '1' }
  const harborOfBo = [{ role: 'user', content: 'What is the harbor of bo called?' }]

  it('x-cwm-select asks only the windows that fit the question best', async () => {
    const got = await post({ messages: harborOfBo }, { headers: select })

    expect(jsonOf(got)).toMatchObject({
      choices: [{ message: { reasoning: expect.stringMatching(/^Asking 1 window\.\nbo: /) } }],
    })
    await nothingLeft(stack, idle)
  })

  it('x-cwm-budget-tokens stops windows, and is the error if it stops all of them', async () => {
    const headers = { 'x-cwm-budget-tokens': '100000' }
    await stack.sim.restartEngine()
    const enough = await post({ messages }, { headers })
    await stack.sim.setOnline('lmcache', false)
    await stack.sim.setOnline('coordinator', false)
    const before = stack.sim.requests.all('engine').length
    const spent = await post({ messages }, { headers: { 'x-cwm-budget-tokens': '300' } })

    expect(enough.text).toContain('Asking 3 windows')
    expect([enough.status, enough.text.includes('failed')]).toEqual([200, false])
    expect(spent.status).toBe(422)
    expect(errorOf(spent)).toMatchObject({ code: 'ask_budget_used_up', param: 'x-cwm-budget-tokens' })
    expect(errorOf(spent).message).toContain('raise x-cwm-budget-tokens (300)')
    expect(chatsAt(before)).toEqual([])
  })

  it('x-cwm-deadline-ms leaves out the windows that have not answered by then', async () => {
    stack.sim.fault({ path: '/v1/chat/completions', times: 2, action: { kind: 'stall' } })

    const got = await post({ messages, stream: true }, { headers: { 'x-cwm-deadline-ms': '1500' } })

    expect(got.text.match(/failed \(ask_deadline\)/g)).toHaveLength(2)
    expect(got.text).toMatch(/"finish_reason":"stop".*\n\ndata: \[DONE\]\n\n$/)
    await nothingLeft(stack, idle)
  })

  it('x-cwm-deadline-ms is the error if no window is selected by then', async () => {
    // The first selection starts a worker.
    const late = { ...select, 'x-cwm-deadline-ms': '1' }
    const whole = await post({ messages: harborOfBo }, { headers: late })
    await stack.restart({})
    const stream = await post({ messages: harborOfBo, stream: true }, { headers: late })

    expect(whole.status).toBe(504)
    expect(errorOf(whole)).toMatchObject({ code: 'ask_deadline', param: 'x-cwm-deadline-ms' })
    expect(errorOf(whole).message).toContain('by x-cwm-deadline-ms (1)')
    expect([stream.status, stream.clean]).toEqual([200, false])
    expect(stream.text).toMatch(/data: \{"error":\{.*"code":"ask_deadline".*\n\n$/)
  })

  it('do not reach the engine', async () => {
    const before = stack.sim.requests.all('engine').length
    await post({ messages }, { headers: { ...select, 'x-cwm-deadline-ms': '60000' } })

    const names = stack.sim.requests
      .all('engine')
      .slice(before)
      .map(({ headers }) => Object.keys(headers))
    expect(names.flat().filter((name) => name.startsWith('x-cwm-'))).toEqual([])
  })

  it('do not apply to side requests, which an app sends with the same headers', async () => {
    await stack.restart({ ask_side_requests: ['Name this chat'] })
    const headers = { ...select, 'x-cwm-budget-tokens': '1' }

    const got = await post({ messages: [{ role: 'user', content: 'Name this chat: …' }] }, { headers })

    expect(got.status).toBe(200)
  })
})
