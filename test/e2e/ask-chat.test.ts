// The chat API over windows, with the openai SDK: whole answers, streams, side requests, and what is rejected.

import OpenAI from 'openai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { documentWindow } from '../support/asks.ts'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { until } from '../support/deadline.ts'
import { rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack
let client: OpenAI
const names = ['ada', 'bo', 'cy']
beforeEach(async () => {
  stack = await startStack()
  for (const name of names) await documentWindow(stack.url, name)
  client = clientOf('law')
})
afterEach(() => stack.close())

const clientOf = (tag: string) =>
  new OpenAI({ baseURL: `${stack.url}/cwm/a/${tag}/v1`, apiKey: 'sk-chat', maxRetries: 0 })
const auth = { authorization: 'Bearer sk-chat' }
const post = (body: object, { tag = 'law', headers = {} as Record<string, string> } = {}) =>
  ask(stack.url, `/cwm/a/${tag}/v1/chat/completions`, { body: { model: `ask:${tag}`, ...body }, headers })
const messages = [{ role: 'user', content: 'What is the harbor called?' }] as const

interface Sent {
  readonly messages: readonly { readonly role: string; readonly content: string }[]
  readonly cache_salt: string
}
const sent = (from = 0): readonly Sent[] =>
  stack.sim.requests
    .all('engine')
    .slice(from)
    .filter(({ path }) => path === '/v1/chat/completions')
    .map(({ body }) => JSON.parse(body.toString()) as Sent)

async function nothingLeft(headers: Record<string, string>): Promise<void> {
  await until('no slot is in use', async () =>
    /^cwm_slots_in_use 0$/m.test(await (await fetch(`${stack.url}/cwm/metrics`)).text()),
  )
  expect((await rest<{ data: object[] }>(stack.url, 'GET', '/sessions', undefined, headers)).data).toEqual([])
}

describe('the openai SDK', () => {
  beforeEach(async () => {
    for (const name of names) await documentWindow(stack.url, name, { headers: auth })
    await stack.sim.restartEngine()
  })

  it('gets one reply of all windows, with the sum as its usage', async () => {
    for (const content of ['Port-ada', 'NOT FOUND', 'Port-cy']) stack.sim.script({ content })
    stack.sim.script({ content: 'Port-ada [ada] and Port-cy [cy]' })

    const { choices, usage, model } = await client.chat.completions.create({
      model: 'ask:law',
      messages: [...messages],
    })

    expect(choices).toMatchObject([
      { message: { role: 'assistant', content: 'Port-ada [ada] and Port-cy [cy]' }, finish_reason: 'stop' },
    ])
    expect(model).toBe('ask:law')
    const cached = usage?.prompt_tokens_details?.cached_tokens ?? 0
    expect(cached).toBeGreaterThanOrEqual(3 * 256)
    expect(usage?.prompt_tokens).toBeGreaterThan(cached)
    expect(usage?.total_tokens).toBe((usage?.prompt_tokens ?? 0) + (usage?.completion_tokens ?? 0))
    await nothingLeft(auth)
  })

  it('gets it as a stream, with each window as reasoning, and usage if asked for', async () => {
    const stream = await client.chat.completions.create({
      model: 'ask:law',
      messages: [...messages],
      stream: true,
      stream_options: { include_usage: true },
    })
    let [content, reasoning] = ['', '']
    let usage: OpenAI.CompletionUsage | null | undefined
    let finish: string | null | undefined
    for await (const chunk of stream) {
      const [choice] = chunk.choices
      content += choice?.delta.content ?? ''
      reasoning += (choice?.delta as { reasoning?: string } | undefined)?.reasoning ?? ''
      finish = choice?.finish_reason ?? finish
      usage = chunk.usage ?? usage
    }

    expect(content).not.toBe('')
    expect(finish).toBe('stop')
    expect(reasoning).toMatch(/^Asking 3 windows, \d+ at once\.\n/)
    for (const name of names) expect(reasoning).toContain(`${name}: `)
    expect(usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThanOrEqual(3 * 256)
    await nothingLeft(auth)
  })

  it('sends the conversation to the reduction only', async () => {
    const before = stack.sim.requests.all('engine').length
    await client.chat.completions.create({
      model: 'ask:law',
      messages: [
        { role: 'system', content: 'Answer in French.' },
        { role: 'user', content: 'Who lives there?' },
        { role: 'assistant', content: 'Ann.' },
        { role: 'user', content: 'And what is the harbor called?' },
      ],
    })

    const bodies = sent(before)
    const reduction = bodies.at(-1)
    const windows = bodies.slice(0, -1)
    expect(windows).toHaveLength(3)
    expect(JSON.stringify(windows)).not.toMatch(/French|Who lives|Ann\./)
    expect(JSON.stringify(reduction?.messages)).toMatch(/French.*Who lives there.*Ann\..*And what is the harbor/)
    expect(new Set(bodies.map((body) => body.cache_salt)).size).toBe(4)
  })

  it('lists one model', async () => {
    const { data } = await client.models.list()

    expect(data).toMatchObject([{ id: 'ask:law', object: 'model', owned_by: 'cwm' }])
  })

  it('throws an error of the API for a tag without windows', async () => {
    const asked = clientOf('nothing').chat.completions.create({ model: 'ask:nothing', messages: [...messages] })

    await expect(asked).rejects.toMatchObject({ status: 404, code: 'window_not_found' })
  })
})

describe('a failure', () => {
  it('of one window leaves the reply to the others', async () => {
    stack.sim.fault({ path: '/v1/chat/completions', action: { kind: 'die-before-headers' } })

    const got = await post({ messages })

    expect(got.status).toBe(200)
    expect(got.text).toContain('failed (upstream_broken)')
  })

  it('of all is an error with a status, or the last event of a stream that breaks', async () => {
    for (let i = 0; i < 6; i++) {
      stack.sim.fault({ path: '/v1/chat/completions', action: { kind: 'die-before-headers' } })
    }
    const whole = await post({ messages })
    const stream = await post({ messages, stream: true })

    expect([whole.status, errorOf(whole).code]).toEqual([502, 'upstream_broken'])
    expect([stream.status, stream.clean]).toEqual([200, false])
    expect(stream.text).toMatch(/data: \{"error":\{.*"code":"upstream_broken".*\n\n$/)
    expect(stream.text).not.toContain('[DONE]')
    await nothingLeft({})
  })

  it('to find anything is said in words', async () => {
    for (const _ of names) stack.sim.script({ content: 'NOT FOUND' })

    const got = jsonOf<{ choices: [{ message: { content: string } }] }>(await post({ messages }))

    expect(got.choices[0].message.content).toBe('None of the 3 windows contains an answer.')
  })
})

it.each([true, false])('ends everything when its client leaves, streamed: %s', async (stream) => {
  for (const _ of names) stack.sim.fault({ path: '/v1/chat/completions', action: { kind: 'delay', ms: 60_000 } })
  const client = new AbortController()
  const before = stack.sim.requests.all('engine').length
  const body = { model: 'ask:law', messages, stream }
  const asking = ask(stack.url, '/cwm/a/law/v1/chat/completions', { body, signal: client.signal }).catch(() => 'left')
  await until('windows are asked', () => sent(before).length > 0)

  client.abort()

  expect(await asking).not.toMatchObject({ clean: true })
  await nothingLeft({})
})

describe('side requests of Open WebUI', () => {
  const title =
    '### Task:\nGenerate a concise title summarizing the chat history.\n### Chat History:\n<chat_history>\n…'
  const tasks = [
    title,
    '### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history, along with more.',
    '### Task:\nSuggest 3-5 relevant follow-up questions or prompts that the user might naturally ask next.',
  ]

  it('go to the model alone, each in a lineage of its own that is retired', async () => {
    const before = stack.sim.requests.all('engine').length
    for (const content of tasks) {
      stack.sim.script({ content: '{ "title": "Harbors" }' })
      const got = await post({ messages: [{ role: 'user', content }], stream: false })
      expect(jsonOf(got)).toMatchObject({
        model: 'ask:law',
        choices: [{ message: { content: '{ "title": "Harbors" }' }, finish_reason: 'stop' }],
        usage: { prompt_tokens: expect.any(Number), completion_tokens: expect.any(Number) },
      })
    }

    const bodies = sent(before)
    expect(bodies.map((body) => body.messages)).toEqual(tasks.map((content) => [{ role: 'user', content }]))
    expect(bodies).toMatchObject(tasks.map(() => ({ model: 'sim-model' })))
    expect(new Set(bodies.map((body) => body.cache_salt)).size).toBe(3)
    await nothingLeft({})
  })

  it('stream too', async () => {
    stack.sim.script({ content: 'Harbors of the north' })

    const got = await post({ messages: [{ role: 'user', content: title }], stream: true })

    const pieces = [...got.text.matchAll(/"content":"([^"]*)"/g)].map(([, piece]) => piece)
    expect(pieces.join('')).toBe('Harbors of the north')
    expect(got.text).toMatch(/data: \[DONE\]\n\n$/)
    expect(got.text).not.toContain('reasoning')
  })

  it('are known by the setting', async () => {
    await stack.restart({ ask_side_requests: ['Name this chat'] })
    const before = stack.sim.requests.all('engine').length

    await post({ messages: [{ role: 'user', content: 'Name this chat: …' }] })
    expect(sent(before)).toHaveLength(1)
    await post({ messages: [{ role: 'user', content: title }] })
    expect(sent(before).length).toBeGreaterThanOrEqual(4)
  })
})

describe('settings', () => {
  it('ask_progress none shows no reasoning', async () => {
    await stack.restart({ ask_progress: 'none' })

    const whole = await post({ messages })
    const stream = await post({ messages, stream: true })

    expect(whole.text + stream.text).not.toContain('reasoning')
  })

  it('ask_reduce_model names a model that the tenant must be allowed to use', async () => {
    await stack.restart({ ask_reduce_model: 'other-model' })

    const got = await post({ messages })

    expect(got.status).toBe(400)
    expect(errorOf(got).message).toContain('other-model')
  })
})

describe('rejects', () => {
  it('fields and headers that would have no effect, and names them', async () => {
    const paramOf = async (...given: Parameters<typeof post>) => {
      const got = await post(...given)
      expect(got.status).toBe(400)
      return errorOf(got).param
    }

    expect(await paramOf({ messages, n: 2 })).toBe('n')
    expect(await paramOf({ messages, tools: [{ type: 'function', function: { name: 'look' } }] })).toBe('tools')
    for (const header of ['x-cwm-freeze', 'x-cwm-window', 'x-cwm-session']) {
      expect(await paramOf({ messages }, { headers: { [header]: 'w' } })).toBe(header)
    }
    expect(await paramOf({ messages: [] })).toBe('messages')
    expect(await paramOf({ messages, model: 'sim-model' })).toBe('model')
  })

  it('a tag without windows, whoever else has some', async () => {
    const stranger = await post({ messages }, { headers: { authorization: 'Bearer other' } })
    const absent = await post({ messages, stream: true }, { tag: 'nothing' })

    expect([stranger.status, absent.status]).toEqual([404, 404])
    expect(errorOf(stranger).code).toBe('window_not_found')
    expect(errorOf(stranger).message).toBe(errorOf(absent).message.replace('nothing', 'law'))
  })

  it('other paths and methods', async () => {
    const path = await ask(stack.url, '/cwm/a/law/v1/embeddings', { body: {} })
    const method = await ask(stack.url, '/cwm/a/law/v1/chat/completions')

    expect([path.status, errorOf(path).code]).toEqual([404, 'unknown_path'])
    expect([method.status, method.headers.allow]).toEqual([405, 'POST'])
  })

  it('requests of web pages of another origin', async () => {
    const got = await post({ messages }, { headers: { origin: 'https://page.example' } })

    expect([got.status, errorOf(got).code]).toEqual([403, 'forbidden_host'])
  })
})

it('takes a library by its tag, whose name has a colon', async () => {
  await documentWindow(stack.url, 'part', { tags: ['library:books'] })

  const listed = jsonOf<{ data: object[] }>(await ask(stack.url, '/cwm/a/library:books/v1/models'))
  // As the SDKs encode it.
  const retrieved = await ask(stack.url, '/cwm/a/library:books/v1/models/ask%3Alibrary%3Abooks')
  const unknown = await ask(stack.url, '/cwm/a/library:books/v1/models/gpt-4')
  const got = await post({ messages }, { tag: 'library:books' })

  expect(listed.data).toMatchObject([{ id: 'ask:library:books' }])
  expect(jsonOf(retrieved)).toEqual(listed.data[0])
  expect([unknown.status, errorOf(unknown).param]).toEqual([400, 'model'])
  expect(got.status).toBe(200)
})

it('names the system text that does not fit into the context of the model', async () => {
  const got = await post({ messages: [{ role: 'system', content: 'word '.repeat(9_000) }, ...messages] })

  expect(got.status).toBe(400)
  expect(errorOf(got)).toMatchObject({ code: 'context_length_exceeded', param: 'messages' })
  expect(errorOf(got).message).toMatch(/^system text and question exceed the context limit/)
})

it('counts the answers of windows toward the memory of their sender', async () => {
  await stack.restart({ max_observed_bytes_in_all: 1_024 })

  const got = await post({ messages })

  expect([got.status, errorOf(got).code]).toEqual([429, 'overloaded'])
})

it('accepts a body larger than other calls of REST may have', async () => {
  const long = 'and so on, '.repeat(10_000)
  const got = await post({
    messages: [{ role: 'user', content: long }, { role: 'assistant', content: 'Yes.' }, ...messages],
  })

  expect(got.status).toBe(200)
})

it('is audited as a question to windows, without its text', async () => {
  await post({ messages })

  const entry = await until('the audit entry', async () => {
    const { data } = await rest<{ data: { action: string }[] }>(stack.url, 'GET', '/audit')
    return data.find(({ action }) => action === 'ask')
  })
  expect(entry).toMatchObject({ target: 'windows', outcome: 'ok' })
  expect(JSON.stringify(entry)).not.toContain('harbor')
})
