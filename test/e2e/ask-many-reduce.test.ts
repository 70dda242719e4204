// The reduction of the answers of many windows: the best one, or one written from all, in a lineage that is retired afterwards.

import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  askedMany,
  documentWindow,
  eventsIn,
  leftovers,
  nothingLeft,
  questionsAt,
  streamedMany,
} from '../support/asks.ts'
import { errorOf } from '../support/client.ts'
import { prose } from '../support/conversation.ts'
import { metricOf } from '../support/departing-client.ts'
import { call, placements, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

const names = ['ada', 'bo', 'cy']
const question = 'What is the harbor called?'
const chat = '/v1/chat/completions'

let stack: Stack
const start = async (options: Parameters<typeof startStack>[0] = {}, document: { readonly text?: string } = {}) => {
  stack = await startStack(options)
  for (const name of names) await documentWindow(stack.url, name, document)
}
afterEach(() => stack.close())

const script = (...replies: readonly string[]) => {
  for (const content of replies) stack.sim.script({ content })
}
const asking = (reduce: 'none' | 'best' | 'synthesize', more = {}) =>
  askedMany(stack.url, { question, windows: { names }, parallel: 1, reduce, ...more })

describe('NOT FOUND', () => {
  beforeEach(() => start())

  it('is asked for, and is no answer', async () => {
    script('At Port-ada.', 'NOT FOUND', '"Not found."')

    const { answers, reduction, receipt } = await asking('synthesize')

    expect(questionsAt(stack.sim)[0]?.messages.at(-1)?.content).toContain('reply with exactly NOT FOUND')
    expect(answers.map(({ answer }) => answer)).toEqual(['At Port-ada.', null, null])
    expect(reduction).toEqual({ answer: 'At Port-ada.', window: 'ada', usage: null, finish_reason: null })
    expect(receipt).toMatchObject({ answered: 1, not_found: 2, failed: 0, reduction: { rounds: 0, calls: 0 } })
    expect(questionsAt(stack.sim)).toHaveLength(3)
  })

  it('of all windows leaves nothing to reduce', async () => {
    script('NOT FOUND', 'NOT FOUND', 'NOT FOUND')

    const { reduction } = await asking('best')

    expect(reduction).toMatchObject({ answer: null, window: null })
  })
})

describe('best', () => {
  beforeEach(() => start())

  it('is one answer verbatim with its window, chosen by a number that the engine enforces', async () => {
    script('one', 'two', 'three')

    const { reduction, receipt } = await asking('best')

    expect(reduction).toMatchObject({ answer: 'one', window: 'ada', finish_reason: 'stop' })
    expect(receipt.reduction).toMatchObject({ model: 'sim-model', rounds: 1, calls: 1 })
    expect(questionsAt(stack.sim).at(-1)?.structured_outputs).toEqual({ choice: ['1', '2', '3'] })
  })

  it('is read from the reply where the engine knows no structured outputs', async () => {
    stack.sim.fault({ path: chat, after: 3, action: { kind: 'status', status: 400 } })
    script('one', 'two', 'three', 'Number 2.')

    const { reduction, receipt } = await asking('best')

    expect(reduction).toMatchObject({ answer: 'two', window: 'bo' })
    expect(receipt.notes.join()).toContain('structured_outputs')
  })

  it('is the first answer, with a note, if the model names none', async () => {
    stack.sim.fault({ path: chat, after: 3, action: { kind: 'status', status: 400 } })
    script('one', 'two', 'three', 'None of them.')

    const { reduction, receipt } = await asking('best')

    expect(reduction).toMatchObject({ answer: 'one', window: 'ada' })
    expect(receipt.notes.join()).toContain('chose no answer')
  })
})

describe('synthesis', () => {
  it('is streamed, from all answers and the names of their windows', async () => {
    await start()
    script('one', 'two', 'three', 'All of them say so.')

    const body = { question, windows: { names }, parallel: 1, reduce: 'synthesize' } as const
    const events = eventsIn(await streamedMany(stack.url, body))

    const kinds = events.map(({ kind }) => kind)
    expect([...new Set(kinds)]).toEqual(['started', 'window', 'text', 'reduction', 'receipt'])
    const text = events.filter(({ kind }) => kind === 'text').map(({ data }) => ('text' in data ? data.text : ''))
    expect([text.length > 1, text.join('')]).toEqual([true, 'All of them say so.'])
    expect(events.at(-2)?.data).toMatchObject({ answer: 'All of them say so.', window: null })
    const sent = questionsAt(stack.sim).at(-1)?.messages.at(-1)?.content
    for (const part of [question, '[ada]\none', '[bo]\ntwo', '[cy]\nthree']) expect(sent).toContain(part)
  })

  it('takes rounds if the answers exceed the context', async () => {
    await start({ sim: { maxModelLen: 1_400 } })
    script(...names.map((name) => prose(250, name)), 'first part', 'the whole')

    const { reduction, receipt } = await asking('synthesize', { max_tokens: 400 })

    expect(reduction?.answer).toBe('the whole')
    expect(receipt.reduction).toMatchObject({ rounds: 2, calls: 2 })
    const [, last] = questionsAt(stack.sim).slice(-2)
    expect(last?.messages.at(-1)?.content).toMatch(/\[part 1\.1\]\nfirst part\n\n\[cy\]/)
    expect(receipt.reduction.prompt_tokens).toBe(reduction?.usage?.prompt_tokens)
  })

  it('is an error if no two answers fit; the answers of the windows stand', async () => {
    await start({ sim: { maxModelLen: 1_400 } }, { text: 'The harbor is called Lomvi.' })
    script(...names.map((name) => prose(500, name)))

    const { answers, reduction, reduction_error: error } = await asking('synthesize', { max_tokens: 600 })

    expect([answers.length, reduction, error?.code, error?.param]).toEqual([
      3,
      null,
      'context_length_exceeded',
      'max_tokens',
    ])
  })
})

describe('the lineage of a reduction', () => {
  beforeEach(() => start())

  it('is new each time, so nothing of it is cached for a second user', async () => {
    const before = await leftovers(stack)
    script('one', 'two', 'three', 'first', 'one', 'two', 'three', 'second')

    const both = [await asking('synthesize'), await asking('synthesize')]

    expect(both.map(({ reduction }) => [reduction?.answer, reduction?.usage?.cached_tokens])).toEqual([
      ['first', 0],
      ['second', 0],
    ])
    const salts = questionsAt(stack.sim).map((body) => body.cache_salt)
    expect(new Set(salts).size).toBe(3 + 2)
    await nothingLeft(stack, before)
  })

  it('is retired afterwards, and the order to delete its KV names it', async () => {
    const long = prose(300, 'answer')
    script(long, long, long, 'all')
    await asking('synthesize')
    const stored = await placements(stack.sim)

    const { data } = await rest<{ data: { kind: string; state: string }[] }>(stack.url, 'GET', '/deletions')
    const erased = await rest<{ residual_chunks: number }>(stack.url, 'DELETE', '/tenants/me')

    expect(data).toMatchObject([{ kind: 'requests', state: 'open' }])
    expect(stored).toBeGreaterThan(0)
    expect([erased.residual_chunks, await placements(stack.sim)]).toEqual([0, 0])
  })

  it('is retired if the engine fails too; the answers stand', async () => {
    stack.sim.fault({ path: chat, after: 3, action: { kind: 'die-after-events', events: 1 } })

    const { answers, reduction_error: error } = await asking('synthesize')

    expect([answers.length, error?.code]).toEqual([3, 'upstream_broken'])
    const { data } = await rest<{ data: { kind: string }[] }>(stack.url, 'GET', '/deletions')
    expect(data).toMatchObject([{ kind: 'requests' }])
    expect(await metricOf(stack.url, 'cwm_ask_reductions_total')).toBe(1)
  })
})

describe('the model of a reduction', () => {
  it('must be served, which is checked before anything is asked', async () => {
    await start()
    const body = { question, windows: { tag: 'law' }, reduce: 'synthesize', reduce_model: 'nothing', stream: false }

    const refused = await call(stack.url, 'POST', '/ask', body)

    expect(refused.status).toBe(400)
    expect(errorOf(refused)).toMatchObject({ code: 'invalid_field', param: 'reduce_model' })
    expect(questionsAt(stack.sim)).toEqual([])
  })

  it('must be one that the tenant may use, before anything is asked', async () => {
    const keys = [{ name: 'k', sha256: createHash('sha256').update('k').digest('hex') }]
    stack = await startStack({ settings: { tenants: [{ id: 'acme', keys, models: ['sim-model'] }] } })
    const headers = { authorization: 'Bearer k' }
    await documentWindow(stack.url, 'ada', { headers })

    const body = { question, windows: { names: ['ada'] }, reduce: 'best', reduce_model: 'other', stream: false }
    const refused = await call(stack.url, 'POST', '/ask', body, headers)

    expect([refused.status, errorOf(refused).code]).toEqual([403, 'forbidden_model'])
    expect(questionsAt(stack.sim)).toEqual([])
  })
})
