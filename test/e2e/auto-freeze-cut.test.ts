// The window before a cut is the only way to undo it: it is kept whether or not its KV is verified, and reports which part is text only.

import { afterEach, expect, it } from 'vitest'
import type { ThawReceiptJson } from '../../src/wire/receipts.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import { assistant, type ChatMessage, chat, prose, system, user } from '../support/conversation.ts'
import { rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { pinsHeld, settled } from '../support/windows.ts'

const LIMIT = 2048

let stack: Stack
afterEach(() => stack.close())

const start = async (settings: object = {}) => {
  stack = await startStack({
    sim: { maxModelLen: LIMIT },
    settings: { overflow: 'rollover', freeze_at: 0, ...settings },
  })
}
const headers = { 'x-cwm-session': 'ann' }
const words = (i: number) => `Turn ${i}: ${prose(60, `mill${i}`)}`

/** Sends turns until the first cut. Returns the history up to the last turn before it, the window, and the turn that was cut. */
async function untilCut(): Promise<{ answered: readonly ChatMessage[]; window: WindowJson }> {
  const history: ChatMessage[] = [system('You answer briefly.')]
  for (let i = 0; ; i++) {
    const turn = await chat(stack.url, [...history, user(words(i))], { headers })
    const name = turn.got.headers['x-cwm-rollover']
    if (name !== undefined) return { answered: history, window: await settled(stack.url, String(name)) }
    history.push(user(words(i)), turn.reply)
  }
}

/** As a client would send them: a window's reply has all fields of the engine's answer. */
async function messagesOf(name: string): Promise<readonly ChatMessage[]> {
  const { messages } = await rest<{ messages: ChatMessage[] }>(stack.url, 'GET', `/windows/${name}/export`)
  return messages.map(({ role, content }) => ({ role, content }))
}
const thaw = (name: string) => rest<ThawReceiptJson>(stack.url, 'POST', `/windows/${name}/thaw`, { session_id: 'ben' })

it('contains the last answered turn, and all its whole chunks are restored', async () => {
  await start()
  const { answered, window } = await untilCut()
  await stack.sim.restartEngine()
  await stack.sim.restartLmcache()

  const receipt = await thaw(window.name)

  expect(await messagesOf(window.name)).toEqual(answered)
  expect(window.receipt).toMatchObject({ durability: 'l2', pinned: true, warnings: [] })
  expect(receipt).toMatchObject({ restored_tokens: window.receipt?.restorable_tokens, drift: false })
})

it('is kept if nothing can be verified', async () => {
  await start()
  stack.sim.fault({ path: '/v1/completions', action: { kind: 'status', status: 500 } })
  const { answered, window } = await untilCut()
  stack.sim.clearFaults()

  const receipt = await thaw(window.name)

  expect(window).toMatchObject({ state: 'frozen', receipt: { durability: 'unverified', restorable_tokens: 0 } })
  expect(window.receipt?.warnings.join()).toContain('its KV was not verified')
  expect(await messagesOf(window.name)).toEqual(answered)
  expect(receipt.restored_tokens).toBeGreaterThan(0)
})

it('has no pin if the pin budget is used up', async () => {
  await start({ max_pinned_tokens: 10 })

  const { window } = await untilCut()

  expect(window).toMatchObject({ state: 'frozen', pin: 'none', receipt: { durability: 'l2', pinned: false } })
  expect(window.receipt?.warnings.join()).toContain('not pinned')
  expect(await pinsHeld(stack.sim)).toBe(0)
})

it('contains newer messages as text, and its ids stay those of the answered turns', async () => {
  await start()
  const first = [user(`Begin. ${prose(250)}`)]
  const { reply } = await chat(stack.url, first, { headers })
  const answered = [...first, reply]
  // The client adds exchanges that this cwm has never seen.
  const brought = [user(`One. ${prose(250)}`), assistant(`Two. ${prose(250)}`), user(words(0)), assistant('Three.')]

  const turn = await chat(stack.url, [...answered, ...brought, user('Four?')], { headers })
  const window = await settled(stack.url, String(turn.got.headers['x-cwm-rollover']))
  const messages = await messagesOf(window.name)
  const receipt = await thaw(window.name)
  const clone = await rest<WindowJson>(stack.url, 'POST', `/windows/${window.name}/clone`, { name: 'first', at: 2 })

  expect(messages).toEqual([...answered, ...brought.slice(0, messages.length - 2)])
  expect(messages.length).toBeGreaterThan(2)
  expect(window.receipt?.notes?.join()).toContain('only their text is stored')
  expect(receipt).toMatchObject({ tokens: window.receipt?.tokens, drift: false })
  expect(clone).toMatchObject({ state: 'frozen', messages: 2, receipt: { tokens: window.receipt?.tokens } })
})
