// Deleting a window that sessions are based on: the name is free at once, the sessions go on, and the text goes with the last of them.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DeletionJson } from '../../src/wire/deletions.ts'
import type { TenantJson } from '../../src/wire/tenants.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import { errorOf } from '../support/client.ts'
import { askChat, chat, prose, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { call, deleteWindow, endSession, frozenSession, placements, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { pinsHeld } from '../support/windows.ts'

let stack: Stack

beforeEach(async () => {
  stack = await startStack({ settings: { deletion_retry_ms: 500 } })
})

afterEach(() => stack.close())

const bob = { headers: { 'x-cwm-session': 'bob' } }
const question = [user('What is the buoy called?')]

/** The messages of the last chat request that reached the engine. */
const lastPrompt = () => {
  const turns = stack.sim.requests.all('engine').filter(({ path }) => path === '/v1/chat/completions')
  return (JSON.parse(String(turns.at(-1)?.body)) as { messages: unknown[] }).messages
}
const shown = (id: string) => rest<DeletionJson>(stack.url, 'GET', `/deletions/${id}`)
const doneOf = (id: string) =>
  until(`delete ${id} is done`, async () => {
    const deletion = await shown(id)
    return deletion.state === 'done' ? deletion : undefined
  })
const thaw = (session: string, more: object = {}) =>
  rest(stack.url, 'POST', '/windows/w/thaw', { session_id: session, ...more })
const usage = async () => (await rest<TenantJson>(stack.url, 'GET', '/tenants/me')).usage

/** Everything that cwm stores, as text. Stops it. */
async function stored(): Promise<string> {
  await stack.stop()
  const files = await readdir(stack.dataDir, { recursive: true, withFileTypes: true })
  const texts = files
    .filter((file) => file.isFile())
    .map((file) => readFile(join(file.parentPath, file.name), 'latin1'))
  return (await Promise.all(texts)).join('\n')
}

/** Window `w` of session `ann`, which is over, with session `bob` on it. */
async function windowOfBob(): Promise<WindowJson> {
  const window = await frozenSession(stack.url)
  await thaw('bob')
  await endSession(stack.url, 'ann')
  return window
}

describe('a window that a session is based on', () => {
  it('is deleted without breaking it: its next turn has the same prompt as before', async () => {
    await windowOfBob()
    await chat(stack.url, question, bob)
    const before = lastPrompt()

    await deleteWindow(stack.url, 'w')

    expect((await call(stack.url, 'GET', '/windows/w')).status).toBe(404)
    const after = await chat(stack.url, question, bob)
    expect(after.reply.content).toContain('Lomvi')
    expect(lastPrompt()).toEqual(before)
  })

  it('gives its name and its pin back at once, and keeps text and KV until the last session ends', async () => {
    const { receipt } = await windowOfBob()
    await thaw('eve')

    const deletion = await deleteWindow(stack.url, 'w')

    expect(deletion).toMatchObject({
      state: 'open',
      held_by: { count: 2, sessions: ['bob', 'eve'] },
      kept_for: ['session'],
      kept_chunks: receipt?.chunks,
      unpinned: true,
      lineage_retired: false,
    })
    expect(await pinsHeld(stack.sim)).toBe(0)
    await endSession(stack.url, 'bob')
    await chat(stack.url, question, { headers: { 'x-cwm-session': 'eve' } })
    expect((await shown(deletion.id)).state).toBe('open')
    const end = await endSession(stack.url, 'eve')
    expect(await shown(deletion.id)).toMatchObject({ state: 'done', held_by: null, residual_chunks: 0, kept_for: [] })
    expect(end).toMatchObject({ residual_chunks: 0, lineage_retired: true })
    expect(await placements(stack.sim)).toBe(0)
    expect(await stored()).not.toContain('Lomvi')
  })

  it('leaves its name to a new window, which new sessions get, while the old session keeps the old one', async () => {
    await windowOfBob()
    await chat(stack.url, question, bob)
    await deleteWindow(stack.url, 'w')
    await rest(stack.url, 'PUT', '/windows/w', {
      model: stack.sim.model,
      messages: [user(`${prose(300)}. The buoy is called Alke.`), { role: 'assistant', content: 'Noted.' }],
    })

    const named = { headers: { 'x-cwm-session': 'bob', 'x-cwm-window': 'w' } }
    expect((await chat(stack.url, question, named)).reply.content).toContain('Lomvi')
    const eve = await chat(stack.url, question, { headers: { 'x-cwm-session': 'eve', 'x-cwm-window': 'w' } })

    expect(eve.reply.content).toContain('Alke')
    const second = await deleteWindow(stack.url, 'w')
    expect(second.held_by).toEqual({ count: 1, sessions: ['eve'] })
    expect((await chat(stack.url, question, bob)).reply.content).toContain('Lomvi')
    expect((await chat(stack.url, question, { headers: { 'x-cwm-session': 'eve' } })).reply.content).toContain('Alke')
  })

  it('is released by a thaw of another window into its session', async () => {
    await windowOfBob()
    await rest(stack.url, 'PUT', '/windows/other', {
      model: stack.sim.model,
      messages: [user('The buoy is called Alke.'), { role: 'assistant', content: 'Noted.' }],
    })
    const deletion = await deleteWindow(stack.url, 'w')

    await rest(stack.url, 'POST', '/windows/other/thaw', { session_id: 'bob', replace: true })

    expect((await chat(stack.url, question, bob)).reply.content).toContain('Alke')
    expect(await doneOf(deletion.id)).toMatchObject({ held_by: null, lineage_retired: true })
    expect(await stored()).not.toContain('Lomvi')
  })

  it('is released when its session expires', async () => {
    await windowOfBob()
    const deletion = await deleteWindow(stack.url, 'w')

    await stack.restart({ session_ttl_ms: 1, boundary_ttl_ms: 1 })

    expect(await doneOf(deletion.id)).toMatchObject({ held_by: null, residual_chunks: 0 })
    expect(await placements(stack.sim)).toBe(0)
    expect(await stored()).not.toContain('Lomvi')
  })

  it('is deleted with its sessions on request', async () => {
    await windowOfBob()
    await thaw('eve')

    const deletion = await rest<DeletionJson>(stack.url, 'DELETE', '/windows/w?sessions=end')

    expect(deletion).toMatchObject({ state: 'done', held_by: null, residual_chunks: 0, lineage_retired: true })
    expect((await rest<{ data: object[] }>(stack.url, 'GET', '/sessions')).data).toEqual([])
    expect(await placements(stack.sim)).toBe(0)
    expect(await stored()).not.toContain('Lomvi')
  })

  it('is erased with its tenant', async () => {
    await windowOfBob()
    await deleteWindow(stack.url, 'w')

    await rest(stack.url, 'DELETE', '/tenants/me')

    expect(await placements(stack.sim)).toBe(0)
    expect(await rest(stack.url, 'GET', '/deletions')).toEqual({ data: [] })
    expect(await stored()).not.toContain('Lomvi')
  })

  it('stays based on the window after a restart', async () => {
    await windowOfBob()
    const deletion = await deleteWindow(stack.url, 'w')

    await stack.restart()

    expect((await chat(stack.url, question, bob)).reply.content).toContain('Lomvi')
    expect(await shown(deletion.id)).toMatchObject({ state: 'open', held_by: { count: 1 } })
    await endSession(stack.url, 'bob')
    expect((await shown(deletion.id)).state).toBe('done')
  })

  it('counts its bytes until then', async () => {
    await windowOfBob()
    const before = await usage()

    await deleteWindow(stack.url, 'w')

    expect(await usage()).toEqual({ ...before, windows: 0, pinned_tokens: 0 })
    await endSession(stack.url, 'bob')
    expect((await usage()).window_bytes).toBe(0)
  })

  it('names its sessions before it is deleted', async () => {
    await windowOfBob()

    expect((await rest<WindowJson>(stack.url, 'GET', '/windows/w')).base_of).toEqual({ count: 1, sessions: ['bob'] })
  })
})

describe('an unnamed session', () => {
  it('keeps the window that its first turn began behind, though that is deleted before the answer', async () => {
    await windowOfBob()
    await endSession(stack.url, 'bob')
    stack.sim.fault({ path: '/v1/chat/completions', action: { kind: 'delay', ms: 300 } })
    const turn = chat(stack.url, question, { headers: { 'x-cwm-window': 'w' } })
    await until('the turn is at the engine', async () =>
      stack.sim.requests
        .all('engine')
        .some(({ path, body }) => path === '/v1/chat/completions' && String(body).includes('buoy called?')),
    )

    const deletion = await deleteWindow(stack.url, 'w')

    const { reply } = await turn
    expect(deletion.held_by?.count).toBe(1)
    const next = await chat(stack.url, [...question, reply, ...question])
    expect(next.reply.content).toContain('Lomvi')
  })

  it('is told 404 when the window was deleted during its thaw', async () => {
    await windowOfBob()
    await endSession(stack.url, 'bob')
    stack.sim.fault({ path: '/v1/completions', action: { kind: 'delay', ms: 300 } })
    const count = stack.sim.requests.all('engine').filter(({ path }) => path === '/v1/completions').length
    const turn = askChat(stack.url, question, { headers: { 'x-cwm-window': 'w' } })
    await until(
      'the thaw is at the engine',
      async () => stack.sim.requests.all('engine').filter(({ path }) => path === '/v1/completions').length > count,
    )

    await deleteWindow(stack.url, 'w')

    const got = await turn
    expect([got.status, errorOf(got).code]).toEqual([404, 'window_not_found'])
  })
})
