// Clones on the real engine: a clone answers token for token like its window, and its first turn is cached.

import type OpenAI from 'openai'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ask, longText, measured, openai, system, user } from './support/conversations.ts'
import { type Cwm, type ShownWindow, startCwm } from './support/cwm.ts'
import { bound, forget } from './support/stack.ts'

const NEXT = user('who?')

let cwm: Cwm
let client: OpenAI

beforeAll(async () => {
  cwm = await startCwm()
  client = openai(cwm.url)
  const messages = [system(longText('You keep the harbour', 900)), user(longText('first', 500))]
  const first = await ask(client, messages, { headers: { 'x-cwm-session': 'keeper' } })
  await ask(client, [...messages, first.reply, user(longText('second', 500))], {
    headers: { 'x-cwm-session': 'keeper', 'x-cwm-freeze': 'whole' },
  })
  await cwm.frozen('whole')
})

afterAll(() => cwm.dispose())

async function clone(name: string, more: object = {}) {
  const { status, body } = await cwm.rest<ShownWindow>('POST', '/windows/whole/clone', { name, ...more })
  if (status !== 201 || body.receipt === undefined) throw new Error(`${status} ${JSON.stringify(body)}`)
  return body.receipt
}

const thaw = (name: string, session: string) =>
  ask(client, [NEXT], { headers: { 'x-cwm-window': name, 'x-cwm-session': session } })

it('answers like its window, without recomputing', async () => {
  const reference = await thaw('whole', 'of-the-whole')

  const receipt = await clone('copy')
  await forget()
  const turn = await thaw('copy', 'of-the-copy')

  measured('clone', { tokens: receipt.tokens, ms: receipt.ms, restored: turn.cwm.restored, cached: turn.cachedTokens })
  expect(receipt).toMatchObject({ durability: 'l2', pinned: true })
  expect(turn.ids).toEqual(reference.ids)
  expect(turn.ids).toHaveLength(16)
  expect(turn.promptTokens).toBe(reference.promptTokens)
  expect(Number(turn.cwm.restored)).toBeGreaterThanOrEqual(bound(receipt.tokens))
  expect(turn.cachedTokens).toBeGreaterThanOrEqual(bound(receipt.tokens))
})

it('at its first exchange restores the chunks of that exchange', async () => {
  const receipt = await clone('cut', { at: 3 })
  await forget()

  const turn = await thaw('cut', 'of-the-cut')
  const other = await thaw('whole', 'of-the-whole-again')

  expect(turn.promptTokens).toBeLessThan(other.promptTokens)
  expect(Number(turn.cwm.restored)).toBeGreaterThanOrEqual(bound(receipt.tokens))
  expect(turn.ids).not.toEqual(other.ids)
})

it('at its system prompt can start a chat', async () => {
  const receipt = await clone('opening', { at: 1 })
  await forget()

  const turn = await thaw('opening', 'of-the-opening')

  expect(receipt.durability).toBe('l2')
  expect(Number(turn.cwm.restored)).toBeGreaterThanOrEqual(bound(receipt.tokens))
})
