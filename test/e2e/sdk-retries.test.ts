// SDKs retry a 409 automatically, after a pause. If retrying cannot help, cwm says so, and they send the request once.

import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { CwmError, type ErrorCode, errorTable } from '../../src/base/errors.ts'
import { assistant, chat, prose, user } from '../support/conversation.ts'
import { call, frozenSession } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

const model = 'sim-model'
/** A key is a tenant, so all requests here share one. */
const apiKey = 'key-of-all'
const headers = { authorization: `Bearer ${apiKey}` }
/** The window's first message, as `frozenSession` sends it. */
const opening = user(`${prose(700)}. The buoy is called Lomvi.`)

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
  await frozenSession(stack.url, { session: 'ann', window: 'taken', headers })
})
afterAll(() => stack.close())

/** `fetch` that counts its calls. */
function counted() {
  const seen = { calls: 0 }
  const send: typeof fetch = (input, init) => {
    seen.calls++
    return fetch(input, init)
  }
  return { seen, send }
}

/** The openai SDK with its default of two retries. */
async function openaiAsks(defaultHeaders: Record<string, string>, more: object = {}) {
  const { seen, send } = counted()
  const client = new OpenAI({ baseURL: `${stack.url}/v1`, apiKey, fetch: send, defaultHeaders })
  const error: unknown = await client.chat.completions
    .create({ model, max_tokens: 4, messages: [{ role: 'user', content: 'Hello.' }], ...more })
    .then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
  return { error, calls: seen.calls }
}

it('the openai SDK does not retry a name that is taken', async () => {
  const { error, calls } = await openaiAsks({ 'x-cwm-session': 'bo', 'x-cwm-freeze': 'taken' })

  expect(error).toMatchObject({ status: 409, code: 'window_name_taken' })
  expect(calls).toBe(1)
})

it('the openai SDK does not retry a request that diverges from its window', async () => {
  const { error, calls } = await openaiAsks(
    { 'x-cwm-session': 'cy', 'x-cwm-window': 'taken' },
    { messages: [opening, assistant('I never said this.'), user('And now?')] },
  )

  expect(error).toMatchObject({ status: 409, code: 'window_diverges' })
  expect(calls).toBe(1)
})

it('the openai SDK does not retry a history that may belong to two sessions', async () => {
  const question = user('Where is the buoy?')
  const inWindow = { headers: { ...headers, 'x-cwm-window': 'taken' } }
  const { reply } = await chat(stack.url, [question], inWindow)
  await chat(stack.url, [question], inWindow)

  const { error, calls } = await openaiAsks({}, { messages: [question, reply, user('And now?')] })

  expect(error).toMatchObject({ status: 409, code: 'session_ambiguous' })
  expect(calls).toBe(1)
})

it('Anthropic’s SDK does not retry a window of another API', async () => {
  const { seen, send } = counted()
  const client = new Anthropic({ baseURL: stack.url, apiKey, fetch: send })

  const refusal = client.messages.create(
    { model, max_tokens: 4, messages: [{ role: 'user', content: prose(5) }] },
    { headers: { 'x-cwm-session': 'di', 'x-cwm-window': 'taken' } },
  )

  await expect(refusal).rejects.toMatchObject({ status: 409 })
  expect(seen.calls).toBe(1)
})

it('REST has the same header', async () => {
  const taken = await call(stack.url, 'POST', '/windows/taken/clone', { name: 'taken' }, headers)

  expect([taken.status, taken.headers['x-should-retry']]).toEqual([409, 'false'])
})

it('temporary errors may be retried, and the permanent ones are listed', () => {
  const retried = (Object.keys(errorTable) as ErrorCode[]).filter((code) => {
    const [status] = errorTable[code]
    return status === 409 || status === 408 || status === 429 || status >= 500
  })
  const hopeless = retried.filter((code) => new CwmError(code, 'no').answerHeaders['x-should-retry'] === 'false')

  expect(hopeless).toEqual([
    'SESSION_EMPTY',
    'SESSION_AMBIGUOUS',
    'SESSION_HAS_TURNS',
    'WINDOW_NAME_TAKEN',
    'WINDOW_DIVERGES',
    'WINDOW_MISMATCH',
    'WINDOW_CORRUPT',
    'ASK_NEEDS_TOOL_RESULT',
    'LAST_ENGINE',
    'KEY_NAME_TAKEN',
  ])
})

it('a call that the engine rejects permanently is not retried, one that it rejects for now is', () => {
  const refused = (refusedWith: number) => new CwmError('UPSTREAM_REJECTED', 'the engine refused', { refusedWith })

  expect([400, 429].map((status) => refused(status).answerHeaders['x-should-retry'])).toEqual(['false', undefined])
})
