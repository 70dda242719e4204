// Clones: another name for a window or its first exchanges, in the same lineage, so that nothing is recomputed.

import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../src/base/logger.ts'
import { openSqliteStore } from '../../src/store/sqlite/sqlite.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import { errorOf } from '../support/client.ts'
import { assistant, chat, prose, system, user } from '../support/conversation.ts'
import { call, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { pinsHeld } from '../support/windows.ts'

let stack: Stack

beforeEach(async () => {
  stack = await startStack()
})
afterEach(() => stack.close())

const messages = [
  system(`You keep the harbour. ${prose(300)}. The buoy is called Lomvi.`),
  user(prose(300, 'first')),
  assistant('Noted.'),
  user(prose(300, 'second')),
]

/** A session of two exchanges after a system prompt, frozen as `w`. */
async function freeze(): Promise<void> {
  await chat(stack.url, messages, { headers: { 'x-cwm-session': 'ann' } })
  await rest(stack.url, 'POST', '/windows', { name: 'w', session_id: 'ann', tags: ['b', 'a'], note: 'for the harbour' })
}

const clone = (name: string, more: object = {}, source = 'w') =>
  rest<WindowJson & { tags: string[]; note?: string; origin: string }>(stack.url, 'POST', `/windows/${source}/clone`, {
    name,
    ...more,
  })
const thawed = (name: string) =>
  chat(stack.url, [user('What is the buoy called?')], { headers: { 'x-cwm-window': name } })

async function idsOf(...names: string[]): Promise<number[][]> {
  const store = await openSqliteStore({ path: join(stack.dataDir, 'cwm.sqlite'), log: silentLogger })
  try {
    const found = []
    for (const name of names) {
      const record = await store.getWindow('anonymous', name)
      const content = await store.getWindowContent('anonymous', name, record?.id ?? '')
      found.push([...(content?.tokenIds ?? [])])
    }
    return found
  } finally {
    await store.close()
  }
}

describe('a clone', () => {
  it('of the whole window gives the same answers, has its own pin, and starts warm', async () => {
    await freeze()
    const pins = await pinsHeld(stack.sim)
    const original = await thawed('w')

    const copy = await clone('copy')
    await stack.sim.restartEngine()
    const turn = await thawed('copy')

    expect(copy).toMatchObject({
      state: 'frozen',
      origin: 'clone',
      parent: 'w',
      tags: ['a', 'b'],
      note: 'for the harbour',
    })
    expect(copy.receipt?.computed_tokens).toBeLessThan(64)
    expect(await pinsHeld(stack.sim)).toBe(2 * pins)
    expect(turn.reply).toEqual(original.reply)
    expect(turn.promptTokens).toBe(original.promptTokens)
    expect(turn.cachedTokens).toBeGreaterThanOrEqual(Math.floor(turn.promptTokens / 256) * 256)
  })

  it('at an exchange starts with the same ids and has no more', async () => {
    await freeze()

    const cut = await clone('cut', { at: 3, tags: [], note: 'the first exchange' })
    await stack.stop()

    const [whole = [], part = []] = await idsOf('w', 'cut')
    expect(cut).toMatchObject({ state: 'frozen', messages: 3, tags: [], note: 'the first exchange' })
    expect(part.length).toBeGreaterThan(512)
    expect(part.length).toBeLessThan(whole.length)
    expect(whole.slice(0, part.length)).toEqual(part)
    await stack.restart()
    expect((await thawed('cut')).reply.content).toContain('Lomvi')
  })

  it('at the system prompt can start many chats', async () => {
    await freeze()

    expect(await clone('opening', { at: 1 })).toMatchObject({ state: 'frozen', messages: 1 })
    expect((await thawed('opening')).reply.content).toContain('Lomvi')
  })

  it('of a clone has that clone as its parent', async () => {
    await freeze()
    await clone('one')

    expect(await clone('two', { at: 3 }, 'one')).toMatchObject({ state: 'frozen', parent: 'one', messages: 3 })
  })

  it.each([
    [2, '1 and 3'],
    [4, '3 and 5'],
    [9, '5'],
  ])('is not cut within an exchange: at %i the nearest ends are %s', async (at, near) => {
    await freeze()

    const got = await call(stack.url, 'POST', '/windows/w/clone', { name: 'cut', at })

    expect([got.status, errorOf(got).code, errorOf(got).param]).toEqual([400, 'invalid_field', 'at'])
    expect(errorOf(got).message).toContain(`the nearest ends are ${near}`)
  })

  it('needs an unused name and an existing window', async () => {
    await freeze()

    const taken = await call(stack.url, 'POST', '/windows/w/clone', { name: 'w' })
    const absent = await call(stack.url, 'POST', '/windows/nothing/clone', { name: 'copy' })

    expect([taken.status, errorOf(taken).code]).toEqual([409, 'window_name_taken'])
    expect([absent.status, errorOf(absent).code]).toEqual([404, 'window_not_found'])
  })
})

describe('a call is never separated from its results', () => {
  const tools = [{ type: 'function', name: 'f', function: { name: 'f' }, input_schema: { type: 'object' } }]
  const dialects = [
    [
      'chat',
      [
        { role: 'user', content: 'look' },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }],
        },
        { role: 'tool', tool_call_id: 'c', content: 'found' },
        { role: 'assistant', content: 'There it is.' },
        { role: 'user', content: 'and now?' },
      ],
    ],
    [
      'messages',
      [
        { role: 'user', content: 'look' },
        { role: 'assistant', content: [{ type: 'tool_use', id: 'c', name: 'f', input: {} }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c', content: 'found' }] },
        { role: 'assistant', content: 'There it is.' },
        { role: 'user', content: 'and now?' },
      ],
    ],
    [
      'responses',
      [
        { role: 'user', content: 'look' },
        { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c', output: 'found' },
        { role: 'assistant', content: 'There it is.' },
        { role: 'user', content: 'and now?' },
      ],
    ],
  ] as const

  it.each(dialects)('%s', async (dialect, given) => {
    const field = dialect === 'responses' ? 'input' : 'messages'
    await rest(stack.url, 'PUT', '/windows/w', { model: 'sim-model', dialect, [field]: given, tools })

    const outcomes = []
    for (const at of [1, 2, 3, 4]) {
      outcomes.push((await call(stack.url, 'POST', '/windows/w/clone', { name: `cut-${at}`, at })).status)
    }

    expect(outcomes).toEqual([400, 400, 400, 201])
  })
})
