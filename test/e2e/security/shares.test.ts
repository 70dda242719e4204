// One tenant fills what all tenants share: the audit log, events, last turns, listeners. The others keep theirs.

import { afterEach, expect, it } from 'vitest'
import type { AuditEntryJson } from '../../../src/wire/audit.ts'
import { chat, prose, user } from '../../support/conversation.ts'
import { listen } from '../../support/event-stream.ts'
import { call, endSession, frozenSession, rest } from '../../support/rest.ts'
import { type Stack, startStack } from '../../support/stack.ts'

let stack: Stack

afterEach(() => stack.close())

const honest = { authorization: 'Bearer sk-honest' }
const junk = { authorization: 'Bearer sk-junk' }

const audited = async (headers: Record<string, string>) =>
  (await rest<{ data: AuditEntryJson[] }>(stack.url, 'GET', '/audit', undefined, headers)).data.toReversed()
const named = (entries: readonly AuditEntryJson[]) =>
  entries.map(({ action, name, outcome }) => [action, name, outcome].join(' '))

it('260 deletes of windows that do not exist push out no audit entry of another tenant, nor a success of their own', async () => {
  stack = await startStack({ settings: { audit_keep: 20 } })
  await frozenSession(stack.url, { headers: honest })
  await call(stack.url, 'DELETE', '/windows/nothing', undefined, honest)
  await frozenSession(stack.url, { headers: junk })

  for (let n = 0; n < 260; n++) await call(stack.url, 'DELETE', `/windows/absent-${n}`, undefined, junk)

  expect(named(await audited(honest))).toEqual(['freeze w ok', 'delete nothing window_not_found'])
  const left = named(await audited(junk))
  expect(left[0]).toBe('freeze w ok')
  expect(left.slice(1).filter((entry) => /^delete absent-\d+ window_not_found$/.test(entry))).toHaveLength(19)
})

it('the same failed attempt again and again is one audit entry with a count', async () => {
  stack = await startStack()
  for (let n = 0; n < 40; n++) await call(stack.url, 'DELETE', '/windows/absent', undefined, junk)

  const entries = await audited(junk)

  expect(named(entries)).toEqual(['delete absent window_not_found'])
  expect(entries[0]).toMatchObject({ count: 40, at: expect.any(String), last_at: expect.any(String) })
  expect(Date.parse(entries[0]?.last_at ?? '')).toBeGreaterThanOrEqual(Date.parse(entries[0]?.at ?? ''))
})

it.each(['memory', 'disk'] as const)(
  'large bodies of one tenant push out no last turn of another, which REST still freezes (%s)',
  async (retain) => {
    stack = await startStack({ settings: { retain, retain_bytes: 200_000 } })
    await chat(stack.url, [user(prose(600))], { headers: { ...honest, 'x-cwm-session': 'ann' } })

    for (let n = 0; n < 5; n++) {
      await chat(stack.url, [user('hi')], {
        headers: { ...junk, 'x-cwm-session': `s-${n}` },
        body: { metadata: { junk: 'x'.repeat(n % 2 === 0 ? 150_000 : 198_000) } },
      })
    }

    const window = await rest(stack.url, 'POST', '/windows', { name: 'w', session_id: 'ann' }, honest)
    expect(window).toMatchObject({ state: 'frozen' })
  },
)

it('events of one tenant push out none of another, which resumes without a loss', async () => {
  stack = await startStack({ settings: { events_keep: 6 } })
  const ear = await listen(stack.url, honest)
  await frozenSession(stack.url, { headers: honest })
  const [frozen] = await ear.events(1)
  ear.leave()
  await endSession(stack.url, 'ann', honest)
  await frozenSession(stack.url, { headers: junk })
  for (let n = 0; n < 8; n++) await rest(stack.url, 'POST', '/windows/w/thaw', { session_id: `s-${n}` }, junk)

  const resumed = await listen(stack.url, { ...honest, 'last-event-id': frozen?.id ?? '' })
  const heard = await resumed.events(1)
  resumed.leave()

  expect(heard.map(({ event, data }) => [event, data.session_id])).toEqual([['deleted', 'ann']])
})

it('32 keys with 16 listeners each leave room for another tenant, and their clients can resume', async () => {
  stack = await startStack()
  const ears = await Promise.all(
    Array.from({ length: 512 }, (_, n) => listen(stack.url, { authorization: `Bearer sk-junk-${Math.floor(n / 16)}` })),
  )

  const ear = await listen(stack.url, honest)
  await frozenSession(stack.url, { headers: honest })

  expect((await ear.events(1)).map(({ event }) => event)).toEqual(['frozen'])
  for (const one of [...ears, ear]) one.leave()
})
