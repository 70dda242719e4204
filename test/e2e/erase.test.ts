// Erases a whole tenant: nothing of it remains in the store or in LMCache, and nobody else is affected.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { chat, prose, user } from '../support/conversation.ts'
import { call, frozenSession, placements, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { pinsHeld } from '../support/windows.ts'

let stack: Stack

afterEach(() => stack.close())

const ann = { authorization: 'Bearer key-of-ann' }
const bob = { authorization: 'Bearer key-of-bob' }

interface Erasure {
  readonly windows: number
  readonly sessions: number
  readonly deleted_chunks: number
  readonly residual_chunks: number | null
  readonly lineages_retired: number
  readonly open: readonly string[]
}

const erase = () => rest<Erasure>(stack.url, 'DELETE', '/tenants/me', undefined, ann)

/** Everything that cwm stores, as text. */
async function stored(): Promise<string> {
  const files = await readdir(stack.dataDir, { recursive: true, withFileTypes: true })
  const texts = files
    .filter((file) => file.isFile())
    .map((file) => readFile(join(file.parentPath, file.name), 'latin1'))
  return (await Promise.all(texts)).join('\n')
}

it('removes sessions, windows, their KV and every trace except the audit entry of the erasure', async () => {
  stack = await startStack({ settings: { retain: 'disk' } })
  await frozenSession(stack.url, { session: 'ann-session', window: 'ann-window', headers: ann })
  await rest(stack.url, 'POST', '/windows/ann-window/clone', { name: 'ann-copy' }, ann)
  await chat(stack.url, [user(prose(600, 'nameless'))], { headers: ann })
  const { receipt } = await frozenSession(stack.url, { session: 'bob-session', window: 'bob-window', headers: bob })

  const erasure = await erase()

  expect(erasure).toMatchObject({ windows: 2, sessions: 2, residual_chunks: 0, lineages_retired: 2, open: [] })
  expect(erasure.deleted_chunks).toBeGreaterThanOrEqual(5)
  expect(await pinsHeld(stack.sim)).toBe(receipt?.chunks)
  for (const list of ['windows', 'sessions', 'deletions']) {
    expect(await rest(stack.url, 'GET', `/${list}`, undefined, ann)).toEqual({ data: [] })
  }
  const { data } = await rest<{ data: object[] }>(stack.url, 'GET', '/audit', undefined, ann)
  expect(data).toMatchObject([
    { action: 'erase', target: 'tenant', outcome: 'ok', receipt: { windows: 2, sessions: 2 } },
  ])
  await stack.stop()
  const text = await stored()
  for (const trace of ['ann-session', 'ann-window', 'ann-copy', 'nameless']) expect(text).not.toContain(trace)
  expect(text).toContain('bob-window')
  await stack.restart()
  const thaw = await rest<{ restored_tokens: number }>(stack.url, 'POST', '/windows/bob-window/thaw', {}, bob)
  expect(thaw.restored_tokens).toBeGreaterThanOrEqual(512)
})

it.each(['user', 'tenant'] as const)('removes what isolation %s had shared until then', async (isolation) => {
  stack = await startStack({ settings: { isolation } })
  const body = { user: 'u' }
  for (const session of ['one', 'two']) {
    await chat(stack.url, [user(prose(700, session))], { body, headers: { ...ann, 'x-cwm-session': session } })
  }
  await rest(stack.url, 'POST', '/windows', { name: 'w', session_id: 'one' }, ann)
  const end = await rest(stack.url, 'DELETE', '/sessions/one', undefined, ann)
  expect(end).toMatchObject({ kept_for: ['isolation'], deleted_chunks: 0, lineage_retired: false })
  expect(await placements(stack.sim)).toBeGreaterThan(0)

  const erasure = await erase()

  expect(erasure).toMatchObject({ residual_chunks: 0, lineages_retired: 1, open: [] })
  expect(erasure.deleted_chunks).toBeGreaterThanOrEqual(4)
  expect(await placements(stack.sim)).toBe(0)
  expect(await pinsHeld(stack.sim)).toBe(0)
})

it('reports what LMCache has not released yet', async () => {
  stack = await startStack({ sim: { undeletableAdapters: ['resp'] } })
  await frozenSession(stack.url, { headers: ann })

  const erasure = await erase()

  expect(erasure.residual_chunks).toBeGreaterThan(0)
  expect(erasure.open.length).toBeGreaterThan(0)
  const open = await rest<{ data: { id: string; state: string }[] }>(stack.url, 'GET', '/deletions', undefined, ann)
  expect(
    open.data
      .filter(({ state }) => state === 'open')
      .map(({ id }) => id)
      .sort(),
  ).toEqual([...erasure.open].sort())
})

it('of an unknown tenant does nothing', async () => {
  stack = await startStack()

  expect(await erase()).toMatchObject({ windows: 0, sessions: 0, deleted_chunks: 0, residual_chunks: 0, open: [] })
  expect((await call(stack.url, 'GET', '/windows', undefined, ann)).text).toBe('{"data":[]}')
})
