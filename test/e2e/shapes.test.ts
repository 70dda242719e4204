// For prompts of any form, freeze and thaw report correctly: what is claimed is restored, what cannot be restored is not claimed.

import { afterEach, describe, expect, it } from 'vitest'
import type { SimOptions } from '../../src/sim/index.ts'
import type { ThawReceiptJson } from '../../src/wire/receipts.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import { ask, jsonOf } from '../support/client.ts'
import { askChat, chat, prose, saltsIn, user } from '../support/conversation.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { settled, thawByRest } from '../support/windows.ts'

const CHAT = '/v1/chat/completions'
const words = user(`The cutter lies at berth nine. ${prose(600)}`)

let stack: Stack
let second: Stack | undefined
afterEach(async () => {
  await stack.close()
  await second?.close()
  second = undefined
})

const start = async (sim: SimOptions = {}): Promise<void> => {
  stack = await startStack({ sim })
}

async function freeze(body: object = {}, name = 'w'): Promise<WindowJson> {
  const headers = { 'x-cwm-session': 'log', 'x-cwm-freeze': name }
  const got = await askChat(stack.url, [words], { body, headers })
  if (got.status !== 200) throw new Error(`answered ${got.status}: ${got.text}`)
  return await settled(stack.url, name)
}

/** Clears the engine's cache and L1, like a restart of both. */
async function forget(): Promise<void> {
  await ask(stack.sim.engineUrl, '/reset_prefix_cache', { method: 'POST' })
  await ask(stack.sim.lmcacheUrl, '/cache/clear', { body: { tier: 'l1' } })
}

const thaw = async (name = 'w'): Promise<ThawReceiptJson> => jsonOf<ThawReceiptJson>(await thawByRest(stack.url, name))

const wholeChunks = (tokens: number, chunk = 256) => tokens - (tokens % chunk)

/**
 * Compares a window with its receipt: after the caches are lost, exactly the claimed tokens are restored, and the next turn finds all of
 * them.
 */
async function expectTrue({ receipt }: WindowJson, body: object = {}, chunk = 256): Promise<void> {
  const tokens = receipt?.tokens ?? 0
  const restorable = wholeChunks(tokens, chunk)
  expect(receipt).toMatchObject({ durability: 'l2', restorable_tokens: restorable, chunks: restorable / chunk })
  await forget()
  expect(await thaw()).toMatchObject({ tokens, restored_tokens: restorable, drift: false, warnings: [] })
  const next = await chat(stack.url, [user('Which berth?')], { headers: { 'x-cwm-window': 'w' }, body })
  expect(next.cachedTokens).toBeGreaterThanOrEqual(wholeChunks(tokens, 16) - 16)
  expect(next.promptTokens).toBeGreaterThan(tokens)
}

const tool = (name: string) => ({
  type: 'function',
  function: { name, parameters: { type: 'object', properties: {} } },
})

describe('a window is as restorable as reported, with', () => {
  it.each<[what: string, body: object]>([
    ['tools', { tools: [tool('moor'), tool('sound')] }],
    ['a tool choice', { tools: [tool('moor')], tool_choice: 'none' }],
    ['template arguments', { chat_template_kwargs: { enable_thinking: false, depth: 3 } }],
    ['several choices', { n: 3, temperature: 1 }],
    ['its own salt', { cache_salt: 'mine' }],
  ])('%s', async (_, body) => {
    await start()

    await expectTrue(await freeze(body))
  })

  it('tools whose absence would change the prompt', async () => {
    await start()
    const plain = await freeze({}, 'plain')
    const tools = await freeze({ tools: [tool('moor')] })

    expect(tools.receipt?.tokens).toBeGreaterThan(plain.receipt?.tokens ?? Number.POSITIVE_INFINITY)
  })

  it('a template that strips reasoning: only tokens of every possible next prompt are claimed', async () => {
    await start()
    stack.sim.script({ reasoning: 'Eight? No, that is the pilot.', content: 'Nine.' })
    const thought = await freeze()
    stack.sim.script({ content: 'Nine.' })
    const plain = await freeze({}, 'plain')

    expect(thought.receipt?.tokens).toBe(plain.receipt?.tokens)
    await expectTrue(thought)
  })

  it.each([16, 64, 128, 512])('chunks of %i tokens', async (chunkSize) => {
    await start({ chunkSize })

    await expectTrue(await freeze(), {}, chunkSize)
  })

  it('two ranks, whose chunks are one chunk each', async () => {
    await start({ worldSize: 2 })

    await expectTrue(await freeze())
  })

  it('an adapter, whose KV is separate from other models’', async () => {
    const adapters = ['first', 'second'].map((name) => ({ name, path: `./${name}` }))
    await start({ adapters })
    const window = await freeze({ model: 'first' })
    const session = { 'x-cwm-session': 'log' }
    const bySecond = await chat(stack.url, [words], { body: { model: 'second' }, headers: session })
    const byBase = await chat(stack.url, [words], { headers: session })

    expect([bySecond.cachedTokens, byBase.cachedTokens]).toEqual([0, 0])
    await expectTrue(window, { model: 'first' })
  })
})

describe('completions with token ids', () => {
  it('share one KV space per named session, whatever their number, and nobody else’s', async () => {
    await start()
    const prompt = Array.from({ length: 700 }, (_, i) => 100 + (i % 90))
    const complete = async (session: string | undefined, body: object = {}) => {
      const headers = session === undefined ? {} : { 'x-cwm-session': session }
      const got = await ask(stack.url, '/v1/completions', {
        body: { model: 'sim-model', prompt, max_tokens: 2, ...body },
        headers,
      })
      const { usage } = jsonOf<{ usage: { prompt_tokens_details: { cached_tokens: number } } }>(got)
      return usage.prompt_tokens_details.cached_tokens
    }

    const first = await complete('ids')
    const cached = [await complete('other'), await complete(undefined), await complete(undefined)]
    await forget()
    const again = await complete('ids', { n: 2 })

    expect([first, ...cached]).toEqual([0, 0, 0, 0])
    expect(again).toBe(512)
  })
})

describe('a changed template', () => {
  it('is drift: the current ids are warmed, nothing is claimed of the old ones, and the next turn finds the new ones', async () => {
    await start()
    const window = await freeze()
    second = await startStack({ sim: { preamble: 'Be brief.' } })
    await stack.restart({ upstream: second.sim.engineUrl, coordinator: second.sim.coordinatorUrl })

    const receipt = await thaw()
    const next = await chat(stack.url, [user('Which berth?')], { headers: { 'x-cwm-window': 'w' } })

    expect(receipt).toMatchObject({ drift: true, restored_tokens: 0 })
    expect(receipt.tokens).toBeGreaterThan(window.receipt?.tokens ?? Number.POSITIVE_INFINITY)
    expect(receipt.recomputed_tokens).toBe(receipt.tokens)
    expect(receipt.warnings.join()).toContain('now produce other ids')
    expect(next.cachedTokens).toBeGreaterThanOrEqual(wholeChunks(receipt.tokens, 16) - 16)
  })
})

// docs/engine-behavior.md#dtype
describe('a changed dtype', () => {
  it('stays cold in the old epoch, and each thaw reports that', async () => {
    await start()
    await freeze()
    await stack.sim.changeDtype('bfloat16')

    const first = await thaw()
    await forget()
    const again = await thaw()

    expect([first.restored_tokens, again.restored_tokens]).toEqual([0, 0])
  })

  it('with a raised kv_epoch is rebuilt once, and restored from then on', async () => {
    await start()
    const window = await freeze()
    await stack.sim.changeDtype('bfloat16')
    await stack.restart({ kv_epoch: 1 })

    const first = await thaw()
    await forget()
    const again = await thaw()
    const salts = stack.sim.requests.all('engine').flatMap(({ path, body }) => (path === CHAT ? [] : saltsIn(body)))

    expect(first).toMatchObject({ restored_tokens: 0, drift: false })
    expect(again.restored_tokens).toBe(wholeChunks(window.receipt?.tokens ?? 0))
    expect(new Set(salts).size).toBe(2)
  })
})
