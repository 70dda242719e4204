// What goes wrong in the middle of a question to many windows: a window's fault is its own, and nothing stays behind.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { askedMany, documentWindow, leftovers, nothingLeft, questionsAt, streamedMany } from '../support/asks.ts'
import { until } from '../support/deadline.ts'
import { deleteWindow, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

const names = ['ada', 'bo', 'cy', 'di']
const question = 'What is the harbor called?'
const chat = '/v1/chat/completions'

let stack: Stack
let before: Awaited<ReturnType<typeof leftovers>>
beforeEach(async () => {
  stack = await startStack()
  for (const name of names) await documentWindow(stack.url, name)
  before = await leftovers(stack)
})
afterEach(() => stack.close())

const asking = (more = {}) => askedMany(stack.url, { question, windows: { names }, ...more })
const orders = async () =>
  (await rest<{ data: { kind: string; name: string; state: string }[] }>(stack.url, 'GET', '/deletions')).data

describe('one window', () => {
  it('whose engine breaks off is an error of its own', async () => {
    stack.sim.fault({ path: chat, after: 1, action: { kind: 'die-after-events', events: 2 } })

    const { answers, failed, receipt } = await asking({ parallel: 1 })

    expect(answers.map(({ window }) => window)).toEqual(['ada', 'cy', 'di'])
    expect(failed).toMatchObject([{ window: 'bo', error: { code: 'upstream_broken' } }])
    expect(receipt).toMatchObject({ windows: 4, answered: 3, failed: 1 })
    await nothingLeft(stack, before)
  })

  it('that is slow does not hold up the others', async () => {
    const resume = stack.sim.fault({ path: chat, action: { kind: 'stall', events: 1 } })
    const leave = new AbortController()
    let seen = ''
    const asked = streamedMany(
      stack.url,
      { question, windows: { names }, parallel: 2 },
      { signal: leave.signal, onText: (text) => (seen += text) },
    ).catch(() => {})

    await until('the three others are answered', () => seen.match(/event: window\n/g)?.length === 3)
    leave.abort()
    await asked
    resume()

    await nothingLeft(stack, before)
  })

  it('that is deleted while it is asked is answered or absent, and one more order covers what it stored', async () => {
    stack.sim.fault({ path: chat, action: { kind: 'delay', ms: 300 } })
    const asked = asking({ parallel: 1 })
    await until('the question is at the engine', () => questionsAt(stack.sim).length === 1)
    await deleteWindow(stack.url, 'ada')
    await deleteWindow(stack.url, 'di')

    const { answers, failed } = await asked

    expect(answers.map(({ window }) => window)).toEqual(['ada', 'bo', 'cy'])
    expect(failed).toMatchObject([{ window: 'di', error: { code: 'window_not_found' } }])
    expect((await orders()).filter(({ name }) => name === 'ada')).toHaveLength(2)
    await nothingLeft(stack, { ...before, pins: (await leftovers(stack)).pins })
  })

  it('with an image is asked as it is', async () => {
    await stack.close()
    stack = await startStack({ sim: { images: true } })
    await documentWindow(stack.url, 'text')
    const picture = { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } }
    const messages = [{ role: 'user', content: [{ type: 'text', text: 'The harbor is called Port-seen.' }, picture] }]
    await rest(stack.url, 'PUT', '/windows/seen', { model: 'sim-model', messages, tags: ['law'] })

    const { answers, failed } = await askedMany(stack.url, { question, windows: { tag: 'law' } })

    expect(failed).toEqual([])
    expect(answers.map(({ window }) => window)).toEqual(['seen', 'text'])
    expect(answers[0]?.answer).toContain('Port-seen')
  })
})

describe('all windows', () => {
  it('fail with the numbers if question and answer do not fit', async () => {
    const { answers, failed } = await asking({ max_tokens: 8_000 })

    expect(answers).toEqual([])
    for (const { error } of failed) expect(error.code).toBe('context_length_exceeded')
    expect(questionsAt(stack.sim)).toEqual([])
  })

  it('fail one by one while the engine is gone, and the question ends', async () => {
    await stack.sim.setOnline('engine', false)

    const { answers, failed, reduction } = await asking({ reduce: 'best' })

    expect(answers).toEqual([])
    for (const { error } of failed) expect(error.code).toMatch(/^upstream_/)
    expect(reduction).toMatchObject({ answer: null })
    await stack.sim.setOnline('engine', true)
    await nothingLeft(stack, before)
  })

  it('are answered while LMCache is gone, with a warning each', async () => {
    await stack.sim.setOnline('coordinator', false)
    await stack.sim.setOnline('lmcache', false)

    const { answers, failed } = await asking()

    expect(failed).toEqual([])
    expect(answers).toHaveLength(4)
    for (const { receipt } of answers) expect(receipt.tiers_before.l1).toBeNull()
  })
})

describe('a client that leaves', () => {
  const leaving = async (more: object, arrived: () => boolean) => {
    const leave = new AbortController()
    const asked = streamedMany(
      stack.url,
      { question, windows: { names }, parallel: 1, ...more },
      { signal: leave.signal },
    )
    const ended = asked.catch(() => {})
    await until('the step is reached', arrived)
    leave.abort()
    await ended
  }

  it('while a window is asked ends it, and no other is asked', async () => {
    stack.sim.fault({ path: chat, action: { kind: 'stall', events: 1 } })

    await leaving({}, () => questionsAt(stack.sim).length === 1)

    await nothingLeft(stack, before)
    expect(questionsAt(stack.sim)).toHaveLength(1)
    const { data } = await rest<{ data: { outcome: string }[] }>(stack.url, 'GET', '/audit?limit=1')
    expect(data).toMatchObject([{ action: 'ask', target: 'windows', outcome: 'client_gone' }])
  })

  it('while the answers are reduced ends that, and its lineage is retired', async () => {
    stack.sim.fault({ path: chat, after: 4, action: { kind: 'stall', events: 1 } })

    await leaving({ reduce: 'synthesize' }, () => questionsAt(stack.sim).length === 5)

    await nothingLeft(stack, before)
    expect(await orders()).toMatchObject([{ kind: 'requests', state: 'open' }])
  })

  it('while windows wait for a slot leaves the queue', async () => {
    await stack.reload({ max_in_flight_per_tenant: 1 })
    stack.sim.fault({ path: chat, action: { kind: 'stall', events: 1 } })
    const first = new AbortController()
    const held = streamedMany(stack.url, { question, windows: { names: ['ada'] } }, { signal: first.signal })
    const heldEnd = held.catch(() => {})
    await until('the first has the slot', () => questionsAt(stack.sim).length === 1)
    const second = new AbortController()
    const waiting = streamedMany(stack.url, { question, windows: { names: ['bo'] } }, { signal: second.signal })
    const waitingEnd = waiting.catch(() => {})
    await until('the second waits', async () => (await leftovers(stack)).queued === 1)

    second.abort()
    await waitingEnd
    await until('nothing waits', async () => (await leftovers(stack)).queued === 0)
    first.abort()
    await heldEnd

    await nothingLeft(stack, before)
    expect(questionsAt(stack.sim)).toHaveLength(1)
  })
})
