// Guessing the names of another tenant's windows, sessions, deletes and responses reveals nothing, not even that they exist.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Ask, ask, type Got, jsonOf, withoutOwnHeaders } from '../../support/client.ts'
import { chat, prose, user } from '../../support/conversation.ts'
import { type Stack, startStack } from '../../support/stack.ts'
import { settled } from '../../support/windows.ts'

const CHAT = '/v1/chat/completions'
const key = (name: string) => ({ authorization: `Bearer ${name}` })
const owner = key('owner')
const thief = key('thief')
const turn = { model: 'sim-model', messages: [user('hi')], max_tokens: 5 }

let stack: Stack
/** The owner's records, each with a name as long as the absent one that it is compared with. */
let theirs: { readonly window: string; readonly session: string; readonly deletion: string; readonly response: string }

beforeAll(async () => {
  stack = await startStack()
  const headers = { ...owner, 'x-cwm-session': 'session-there', 'x-cwm-freeze': 'window-there' }
  await chat(stack.url, [user(`The combination is 17-4-31. ${prose(400)}`)], { headers })
  await settled(stack.url, 'window-there', owner)
  await chat(stack.url, [user('To be ended.')], { headers: { ...owner, 'x-cwm-session': 'ended' } })
  const ended = await ask(stack.url, '/cwm/v1/sessions/ended', { method: 'DELETE', headers: owner })
  const responded = await ask(stack.url, '/v1/responses', { body: { model: 'sim-model', input: 'x' }, headers: owner })
  theirs = {
    window: 'window-there',
    session: 'session-there',
    deletion: jsonOf<{ id: string }>(ended).id,
    response: jsonOf<{ id: string }>(responded).id,
  }
})

afterAll(() => stack.close())

type Names = typeof theirs

const requests: [what: string, ask: (names: Names) => readonly [path: string, options?: Ask]][] = [
  ['a turn after the window, by header', () => [CHAT, { body: turn }]],
  ['a turn after the window, by path', ({ window }) => [`/cwm/w/${window}${CHAT}`, { body: turn }]],
  ['show the window', ({ window }) => [`/cwm/v1/windows/${window}`]],
  ['wait for the window', ({ window }) => [`/cwm/v1/windows/${window}?wait_ms=30`]],
  ['export the window', ({ window }) => [`/cwm/v1/windows/${window}/export`]],
  ['thaw the window', ({ window }) => [`/cwm/v1/windows/${window}/thaw`, { body: {} }]],
  ['load the window', ({ window }) => [`/cwm/v1/windows/${window}/thaw`, { body: { to: 'l1' } }]],
  ['clone the window', ({ window }) => [`/cwm/v1/windows/${window}/clone`, { body: { name: 'mine' } }]],
  ['clone a part of it', ({ window }) => [`/cwm/v1/windows/${window}/clone`, { body: { name: 'mine', at: 1 } }]],
  ['change the window', ({ window }) => [`/cwm/v1/windows/${window}`, { method: 'PATCH', body: { tags: ['x'] } }]],
  ['release its pin', ({ window }) => [`/cwm/v1/windows/${window}`, { method: 'PATCH', body: { pinned: false } }]],
  ['delete the window', ({ window }) => [`/cwm/v1/windows/${window}`, { method: 'DELETE' }]],
  ['list clones of the window', ({ window }) => [`/cwm/v1/windows?parent=${window}`]],
  ['list windows of the session', ({ session }) => [`/cwm/v1/windows?session_id=${session}`]],
  ['show the session', ({ session }) => [`/cwm/v1/sessions/${session}`]],
  ['end the session', ({ session }) => [`/cwm/v1/sessions/${session}`, { method: 'DELETE' }]],
  ['freeze the session', ({ session }) => ['/cwm/v1/windows', { body: { name: 'mine', session_id: session } }]],
  ['show the delete', ({ deletion }) => [`/cwm/v1/deletions/${deletion}`]],
  ['read the response', ({ response }) => [`/v1/responses/${response}`]],
  ['stop the response', ({ response }) => [`/v1/responses/${response}/cancel`, { method: 'POST' }]],
  [
    'continue the response',
    ({ response }) => ['/v1/responses', { body: { model: 'sim-model', input: 'y', previous_response_id: response } }],
  ],
]

describe("another tenant's names and absent ones", () => {
  it.each(requests)('get the same answer, byte for byte: %s', async (what, asking) => {
    const absent = Object.fromEntries(
      Object.entries(theirs).map(([kind, name]) => [kind, `${name.slice(0, -5)}zzzzz`]),
    ) as unknown as Names
    const send = async (names: Names): Promise<Got> => {
      const [path, options = {}] = asking(names)
      const control = what.endsWith('by header') ? { 'x-cwm-window': names.window } : {}
      return await ask(stack.url, path, { ...options, headers: { ...thief, ...control } })
    }

    const [there, nowhere] = [await send(theirs), await send(absent)]

    expect(shown(there, theirs)).toEqual(shown(nowhere, absent))
    expect(there.status).toBe(what.startsWith('list') ? 200 : 404)
  })

  it('afterwards the owner has everything unchanged', async () => {
    const window = await ask(stack.url, '/cwm/v1/windows/window-there', { headers: owner })
    const session = await ask(stack.url, '/cwm/v1/sessions/session-there', { headers: owner })
    const response = await ask(stack.url, `/v1/responses/${theirs.response}`, { headers: owner })
    const stolen = await ask(stack.url, '/cwm/v1/windows', { headers: thief })

    expect([window.status, session.status, response.status]).toEqual([200, 200, 200])
    expect(jsonOf(window)).toMatchObject({ state: 'frozen', tags: [], pin: 'pinned' })
    expect(jsonOf(window)).not.toHaveProperty('thaws')
    expect(jsonOf(stolen)).toEqual({ data: [] })
  })
})

describe('the cursor of another tenant', () => {
  it.each(['windows', 'sessions', 'deletions', 'audit'])('reveals nothing of theirs: %s', async (list) => {
    for (const name of ['c1', 'c2']) {
      const headers = { ...owner, 'x-cwm-session': `s-${list}-${name}`, 'x-cwm-freeze': `w-${list}-${name}` }
      await chat(stack.url, [user('hi')], { headers })
      await settled(stack.url, `w-${list}-${name}`, owner)
      const thrown = { ...owner, 'x-cwm-session': `t-${list}-${name}` }
      await chat(stack.url, [user('hi')], { headers: thrown })
      await ask(stack.url, `/cwm/v1/sessions/t-${list}-${name}`, { method: 'DELETE', headers: owner })
    }
    const page = jsonOf<{ next_cursor?: string }>(await ask(stack.url, `/cwm/v1/${list}?limit=1`, { headers: owner }))

    const got = await ask(stack.url, `/cwm/v1/${list}?limit=100&cursor=${page.next_cursor}`, { headers: key('reader') })

    expect(page.next_cursor).toBeTypeOf('string')
    expect([got.status, jsonOf(got)]).toEqual([200, { data: [] }])
  })
})

/** Everything in an answer except names, request id and times. */
function shown({ status, statusText, headers, text }: Got, names: Names) {
  const nameless = Object.values(names).reduce((left, name) => left.replaceAll(name, 'NAME'), text)
  return { status, statusText, headers: withoutOwnHeaders(headers), text: nameless }
}
