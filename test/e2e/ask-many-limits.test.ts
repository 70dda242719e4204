// What bounds a question to many windows: slots, budget, deadline.

import { afterEach, describe, expect, it } from 'vitest'
import { askedMany, documentWindow, leftovers, nothingLeft, questionsAt } from '../support/asks.ts'
import { errorOf } from '../support/client.ts'
import { call, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

const question = 'What is the harbor called?'
const chat = '/v1/chat/completions'

let stack: Stack
afterEach(() => stack.close())

const named = (count: number) => Array.from({ length: count }, (_, n) => `w${String(n).padStart(3, '0')}`)

async function start(count: number, options: Parameters<typeof startStack>[0] = {}): Promise<string[]> {
  stack = await startStack(options)
  const names = named(count)
  for (const name of names) await documentWindow(stack.url, name)
  return names
}

describe('slots', () => {
  it('of 100 windows come from a tenant that may have 4 requests in flight', async () => {
    await start(100, { settings: { max_in_flight_per_tenant: 4, queue_ms: 50 } })
    const before = await leftovers(stack)

    const { answers, failed, receipt } = await askedMany(stack.url, {
      question,
      windows: { tag: 'law' },
      parallel: 64,
      reduce: 'best',
    })

    expect([answers.length, failed]).toEqual([100, []])
    expect(receipt).toMatchObject({ windows: 100, parallel: 4 })
    expect(receipt.restored_tokens).toBeGreaterThanOrEqual(100 * 256)
    await nothingLeft(stack, before)
    expect(await rest(stack.url, 'GET', '/audit?limit=2')).toMatchObject({
      data: [
        { action: 'ask', target: 'windows', name: 'tag law', receipt: { failed: 0 } },
        { action: 'create', target: 'window' },
      ],
    })
  }, 60_000)

  it('are one less than the tenant has by default, so that its chats need not wait', async () => {
    await start(2, { settings: { max_in_flight_per_tenant: 2 } })

    const { receipt } = await askedMany(stack.url, { question, windows: { tag: 'law' } })

    expect(receipt.parallel).toBe(1)
  })

  it('are by default what the engine holds beside chats', async () => {
    // 4,800 tokens of KV, less a quarter, hold one window of 856 tokens and its answer of 1,024.
    await start(2, { sim: { cacheBlocks: 300 } })

    const { receipt } = await askedMany(stack.url, { question, windows: { tag: 'law' } })
    const small = await askedMany(stack.url, { question, windows: { tag: 'law' }, max_tokens: 300 })

    expect([receipt.parallel, small.receipt.parallel]).toEqual([1, 3])
  })
})

describe('budget', () => {
  it('stops the windows after the one whose estimate does not fit', async () => {
    const names = await start(4)
    await stack.sim.restartEngine()
    const [whole] = (await askedMany(stack.url, { question, windows: { names }, budget_tokens: 100_000 })).answers
    await stack.sim.restartEngine()
    const computed = whole?.receipt.computed_tokens ?? 0

    const { answers, failed, receipt } = await askedMany(stack.url, {
      question,
      windows: { names },
      parallel: 1,
      budget_tokens: 2 * computed + 40,
    })

    expect(answers.map(({ window }) => window)).toEqual(names.slice(0, 2))
    expect(failed.map(({ error }) => [error.code, error.param])).toEqual(
      Array(2).fill(['ask_budget_used_up', 'budget_tokens']),
    )
    expect(failed[0]?.error.message).toMatch(/about \d+ tokens of this window would be computed, and \d+ are left/)
    expect(receipt.budget).toMatchObject({ tokens: 2 * computed + 40, stopped: 2 })
    // The nonces of estimate and question differ by a few tokens.
    const error = Math.abs((receipt.budget?.estimated_tokens ?? 0) - (receipt.computed_tokens ?? 0))
    expect(error).toBeLessThan(2 * 16)
  })

  it('counts everything as computed while LMCache is gone', async () => {
    const names = await start(1)
    await stack.sim.setOnline('lmcache', false)
    await stack.sim.setOnline('coordinator', false)

    const { failed } = await askedMany(stack.url, { question, windows: { names }, budget_tokens: 300 })

    expect(failed).toMatchObject([{ error: { code: 'ask_budget_used_up' } }])
    expect(questionsAt(stack.sim)).toEqual([])
  })

  it('must be a number above 0', async () => {
    await start(1)

    const refused = await call(stack.url, 'POST', '/ask', { question, windows: { tag: 'law' }, budget_tokens: 0 })

    expect([refused.status, errorOf(refused).param]).toEqual([400, 'budget_tokens'])
  })
})

describe('deadline', () => {
  it('is the error of the windows that are not answered by then, and the others are reduced', async () => {
    const names = await start(4)
    const before = await leftovers(stack)
    stack.sim.fault({ path: chat, after: 1, action: { kind: 'stall' } })

    const { answers, failed, reduction } = await askedMany(stack.url, {
      question,
      windows: { names },
      parallel: 1,
      deadline_ms: 1_500,
      reduce: 'best',
    })

    expect(answers.map(({ window }) => window)).toEqual(['w000'])
    expect(failed.map(({ window, error }) => [window, error.code])).toEqual(
      names.slice(1).map((window) => [window, 'ask_deadline']),
    )
    expect(reduction?.window).toBe('w000')
    await nothingLeft(stack, before)
  })
})

describe('memory', () => {
  it('for answers that does not suffice is the error of the windows that find none left', async () => {
    const names = await start(3, { settings: { max_observed_bytes_in_all: 5_200 } })

    const { answers, failed } = await askedMany(stack.url, { question, windows: { names }, parallel: 1 })

    expect(answers.map(({ window }) => window)).toEqual(['w000'])
    expect(failed.map(({ error }) => error.code)).toEqual(['overloaded', 'overloaded'])
  })

  it('for many windows that does not suffice is an error before any of them is asked', async () => {
    await start(33, { settings: { max_observed_bytes_in_all: 40_000 } })

    const refused = await call(stack.url, 'POST', '/ask', { question, windows: { tag: 'law' }, stream: false })

    expect([refused.status, errorOf(refused).code]).toEqual([429, 'overloaded'])
    expect(questionsAt(stack.sim)).toEqual([])
  })
})
