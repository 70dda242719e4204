// Stored responses on the real engine (VLLM_ENABLE_RESPONSES_API_STORE=1, which `engine:up` sets): continued by id under one salt, only by
// their tenant.

import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { longText, MODEL, openai } from './support/conversations.ts'
import { type Cwm, startCwm } from './support/cwm.ts'

let cwm: Cwm
let client: OpenAI
let stranger: OpenAI

beforeAll(async () => {
  cwm = await startCwm()
  client = openai(cwm.url)
  stranger = openai(cwm.url, { key: 'key-stranger' })
})

afterAll(() => cwm.dispose())

const question = { model: MODEL, max_output_tokens: 16, temperature: 0 }

async function tell(input: string, previous?: string, from = client) {
  const body = { ...question, input, ...(previous === undefined ? {} : { previous_response_id: previous }) }
  const { data, response } = await from.responses.create(body).withResponse()
  return {
    id: data.id,
    text: data.output_text,
    promptTokens: data.usage?.input_tokens ?? 0,
    cachedTokens: data.usage?.input_tokens_details.cached_tokens ?? 0,
    session: response.headers.get('x-cwm-session'),
  }
}

/** The error of a request that must fail. */
async function refusal(ask: () => PromiseLike<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const error = await Promise.resolve(ask()).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof OpenAI.APIError) return error
  throw new Error(`not rejected: ${String(error)}`)
}

describe('a stored response', () => {
  it("is continued by its id in its session, from that session's KV", async () => {
    const first = await tell(longText('The ledger', 1_300))
    const second = await tell('And then?', first.id)

    expect(first.cachedTokens).toBe(0)
    expect(second.session).toBe(first.session)
    expect(second.promptTokens).toBeGreaterThan(first.promptTokens)
    expect(second.cachedTokens).toBeGreaterThanOrEqual(1_024)
  })

  it('can be read by its own tenant, and does not exist for another', async () => {
    const { id, text } = await tell('short')

    expect((await client.responses.retrieve(id)).output_text).toBe(text)
    for (const ask of [
      () => stranger.responses.retrieve(id),
      () => stranger.responses.cancel(id),
      () => tell('and?', id, stranger),
      () => tell('and?', 'resp_0000'),
    ]) {
      const error = await refusal(ask)
      expect([error.status, error.code, error.param]).toEqual([404, 'response_not_found', 'response_id'])
    }
    expect((await refusal(() => client.responses.cancel(id))).message).toContain(
      'Cannot cancel a synchronous response.',
    )
  })

  it('does not exist if the client opted out of storing it', async () => {
    const { id } = await client.responses.create({ ...question, input: 'short', store: false })

    expect((await refusal(() => client.responses.retrieve(id))).status).toBe(404)
  })
})
