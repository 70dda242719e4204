// The audit log: every operation on windows and sessions, who requested it, how it ended, and no content.

import { afterEach, expect, it } from 'vitest'
import type { AuditEntryJson } from '../../src/wire/audit.ts'
import { chat, prose, user } from '../support/conversation.ts'
import { call, frozenSession, rest, saltsSeen } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack

afterEach(() => stack.close())

const entries = async () => (await rest<{ data: AuditEntryJson[] }>(stack.url, 'GET', '/audit')).data.toReversed()

it('records every operation once, in order', async () => {
  stack = await startStack()
  const document = prose(600)
  await frozenSession(stack.url)
  await rest(stack.url, 'PATCH', '/windows/w', { note: 'a secret note' })
  await rest(stack.url, 'POST', '/windows/w/clone', { name: 'copy' })
  await rest(stack.url, 'PUT', '/windows/doc', { model: 'sim-model', document })
  await rest(stack.url, 'POST', '/windows/w/thaw', { session_id: 'bob' })
  await rest(stack.url, 'POST', '/windows/w/thaw', { to: 'l1' })
  const file = await rest<object>(stack.url, 'GET', '/windows/w/export')
  await rest(stack.url, 'POST', '/windows/import?name=moved', file)
  await rest(stack.url, 'DELETE', '/windows/moved')
  await rest(stack.url, 'DELETE', '/sessions/bob')
  await call(stack.url, 'DELETE', '/windows/nothing')
  await call(stack.url, 'POST', '/windows/nothing/clone', { name: 'x' })
  await call(stack.url, 'PUT', '/windows/doc', { model: 'sim-model', document: 'another' })

  const seen = await entries()

  expect(seen.map(({ action, target, name, outcome }) => [action, target, name, outcome].join(' '))).toEqual([
    'freeze window w ok',
    'update window w ok',
    'clone window copy ok',
    'create window doc ok',
    'thaw window w ok',
    'prefetch window w ok',
    'export window w ok',
    'import window moved ok',
    'delete window moved ok',
    'end session bob ok',
    'delete window nothing window_not_found',
    'clone window x window_not_found',
    'create window doc window_name_taken',
  ])
  expect(seen[0]?.receipt).toMatchObject({ durability: 'l2', pinned: true, restorable_tokens: expect.any(Number) })
  expect(seen[4]?.receipt).toMatchObject({ restored_tokens: expect.any(Number), drift: false })
  expect(seen[8]?.receipt).toMatchObject({
    deleted_chunks: expect.any(Number),
    residual_chunks: 0,
    lineage_retired: true,
  })
})

it('records operations requested by headers', async () => {
  stack = await startStack()
  await chat(stack.url, [user(prose(600))], { headers: { 'x-cwm-session': 'ann', 'x-cwm-freeze': 'w' } })
  await chat(stack.url, [user('?')], { headers: { 'x-cwm-session': 'bob', 'x-cwm-window': 'w' } })

  expect((await entries()).map(({ action, name, outcome }) => [action, name, outcome])).toEqual([
    ['freeze', 'w', 'ok'],
    ['thaw', 'w', 'ok'],
  ])
})

it('contains no messages, notes, or salts', async () => {
  stack = await startStack()
  await frozenSession(stack.url)
  await rest(stack.url, 'PATCH', '/windows/w', { note: 'a secret note' })

  const text = JSON.stringify(await entries())

  for (const word of ['Lomvi', 'buoy', 'secret note', ...saltsSeen(stack.sim)]) expect(text).not.toContain(word)
})
