// A thaw by REST into a session with turns of its own: rejected with what would be lost, until confirmed.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { errorOf } from '../support/client.ts'
import { chat, user } from '../support/conversation.ts'
import { call, frozenSession, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
  await frozenSession(stack.url, { session: 'ann', window: 'w' })
  await rest(stack.url, 'POST', '/windows/w/clone', { name: 'other' })
})
afterAll(() => stack.close())

interface Session {
  readonly base_window?: string
  readonly turns: number
}
const session = (id: string) => rest<Session>(stack.url, 'GET', `/sessions/${id}`)
const turn = (id: string) => chat(stack.url, [user('Hello')], { headers: { 'x-cwm-session': id } })
const thaw = (window: string, body: object) => call(stack.url, 'POST', `/windows/${window}/thaw`, body)

it('answers 409 with what the session would lose and how to continue, and changes nothing', async () => {
  await turn('busy')

  const refused = await thaw('w', { session_id: 'busy' })

  expect([refused.status, errorOf(refused).code]).toEqual([409, 'session_has_turns'])
  expect(errorOf(refused).message).toMatch(
    /^session busy would lose its context \(1 turn, \d+ tokens\): .*into a new session.*"replace": true/,
  )
  expect((await session('busy')).base_window).toBeUndefined()
})

it('names the base window that would be lost', async () => {
  await rest(stack.url, 'POST', '/windows/w/thaw', { session_id: 'based' })
  await turn('based')

  const refused = await thaw('other', { session_id: 'based' })

  expect(errorOf(refused).message).toContain('base window w')
  expect(await session('based')).toMatchObject({ base_window: 'w', turns: 1 })
})

it('succeeds with replace: true', async () => {
  await turn('replaced')

  const thawed = await thaw('w', { session_id: 'replaced', replace: true })

  expect(thawed.status).toBe(200)
  expect((await session('replaced')).base_window).toBe('w')
})

it("needs no confirmation for a session without turns, nor for the session's current window", async () => {
  const fresh = await thaw('w', { session_id: 'fresh' })
  const changed = await thaw('other', { session_id: 'fresh' })
  await turn('fresh')
  const again = await thaw('other', { session_id: 'fresh' })

  expect([fresh.status, changed.status, again.status]).toEqual([200, 200, 200])
})

it('does not affect the header of a turn', async () => {
  await turn('by-header')

  const headers = { 'x-cwm-session': 'by-header', 'x-cwm-window': 'w' }
  const { got } = await chat(stack.url, [user('Go on')], { headers })

  expect(got.status).toBe(200)
  expect((await session('by-header')).base_window).toBe('w')
})
