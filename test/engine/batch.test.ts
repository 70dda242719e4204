// Requests without a session before a real text model: a batch of chats, and token-in token-out (SCALE_OUT=1 npm run engine:up). Skipped where
// the engine does not serve them.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { longText, measured, user } from './support/conversations.ts'
import { type Cwm, startCwm } from './support/cwm.ts'
import { hits, servedName, serves } from './support/stack.ts'

interface Batch {
  readonly choices: readonly { readonly index: number; readonly message: { readonly content: string } }[]
  readonly usage: { readonly prompt_tokens: number }
}

describe.skipIf(!(await serves('/v1/chat/completions/batch')))('a batch of chats', () => {
  let cwm: Cwm
  beforeAll(async () => {
    cwm = await startCwm()
  })
  afterAll(() => cwm.dispose())

  const send = async (messages: object[][], key: string): Promise<Batch> => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` }
    const body = JSON.stringify({ model: await servedName(), messages, max_tokens: 4, temperature: 0 })
    const answer = await fetch(`${cwm.url}/v1/chat/completions/batch`, { method: 'POST', headers, body })
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
    return (await answer.json()) as Batch
  }

  it('has a choice for each conversation, and nothing of another tenant', async () => {
    const words = longText('a batch', 600)
    const messages = [[user(`one ${words}`)], [user(`two ${words}`)]]

    const before = await hits()
    const ann = await send(messages, 'key-of-ann')
    const afterAnn = await hits()
    const bob = await send(messages, 'key-of-bob')
    await send(messages, 'key-of-ann')
    const others = (await hits()) - afterAnn

    measured('batch', { prompt: ann.usage.prompt_tokens, within: afterAnn - before, others })
    expect(ann.choices.map(({ index }) => index)).toEqual([0, 1])
    expect(bob.choices).toHaveLength(2)
    expect([afterAnn - before, others]).toEqual([0, 0])
  })
})

describe.skipIf(!(await serves('/inference/v1/generate')))('token-in token-out', () => {
  let cwm: Cwm
  beforeAll(async () => {
    cwm = await startCwm({ flags: { '--isolation': 'tenant' } })
  })
  afterAll(() => cwm.dispose())

  const send = async (body: object, key: string) => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` }
    const text = JSON.stringify({ model: await servedName(), ...body })
    return fetch(`${cwm.url}/inference/v1/generate`, { method: 'POST', headers, body: text })
  }
  const body = {
    token_ids: Array.from({ length: 900 }, (_, n) => 300 + ((n * 7) % 600)),
    sampling_params: { max_tokens: 2, temperature: 0 },
  }

  it('answers tokens, the same for each tenant', async () => {
    const [ann, bob] = await Promise.all([send(body, 'key-of-ann'), send(body, 'key-of-bob')])

    expect([ann.status, bob.status]).toEqual([200, 200])
    const tokens = async (answer: Response) =>
      ((await answer.json()) as { choices: { token_ids: number[] }[] }).choices[0]?.token_ids
    expect(await tokens(ann)).toEqual(await tokens(bob))
  })

  it('takes no features, whose hash a client could choose', async () => {
    const features = { mm_hashes: { image: ['of-another-tenant'] }, mm_placeholders: { image: [] } }

    expect((await send({ ...body, features }, 'key-of-ann')).status).toBe(400)
  })
})
