// Metrics by model, and gauges of the store.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask } from '../support/client.ts'
import { askChat, user } from '../support/conversation.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterAll(() => stack.close())

const metrics = async () => (await ask(stack.url, '/cwm/metrics')).text

describe('the label model', () => {
  it('is set on requests, first tokens, and tokens of a model that the engine serves', async () => {
    await askChat(stack.url, [user('count me')])

    const text = await metrics()

    for (const name of ['cwm_prompt_tokens_total', 'cwm_cached_tokens_total', 'cwm_completion_tokens_total']) {
      expect(text).toMatch(new RegExp(`^${name}\\{model="sim-model"\\} \\d+$`, 'm'))
    }
    const labels = 'route="/v1/chat/completions",model="sim-model"'
    expect(text).toContain(`cwm_ttft_seconds_count{${labels}} 1`)
    expect(text).toContain(`cwm_request_seconds_count{${labels}} 1`)
  })

  it('is "other" for invented names, and absent if none is given', async () => {
    for (let n = 0; n < 5; n++) {
      await ask(stack.url, '/v1/chat/completions', { body: { model: `invented-${n}`, messages: [user('hi')] } })
    }
    await ask(stack.url, '/v1/models')

    const text = await metrics()

    expect(text).toMatch(/^cwm_requests_total\{route="\/v1\/chat\/completions",status="\d+",model="other"\} 5$/m)
    expect(text).toContain('cwm_requests_total{route="/v1/models",status="200"} 1')
    expect(text).not.toContain('invented')
  })
})

it('gauges show the sessions, windows, and pinned tokens in the store', async () => {
  // The first scrape queries the store, whose answer is cached for some seconds.
  const fresh = await startStack()
  await askChat(fresh.url, [user('keep me')], { headers: { 'x-cwm-freeze': 'kept' } })
  await ask(fresh.url, '/cwm/v1/windows/kept?wait_ms=5000')

  const { text } = await ask(fresh.url, '/cwm/metrics')
  await fresh.close()

  expect(text).toMatch(/^cwm_sessions 1$/m)
  expect(text).toMatch(/^cwm_windows 1$/m)
  expect(text).toMatch(/^cwm_pinned_tokens \d+$/m)
})
