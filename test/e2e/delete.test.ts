// Deletes and what they verify: who still holds chunks, what remains, and that nothing retired is used again.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DeletionJson } from '../../src/wire/deletions.ts'
import { ask, errorOf } from '../support/client.ts'
import { askChat, chat, prose, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { call, deleteWindow, endSession, frozenSession, placements, rest, saltsSeen } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { pinsHeld, settled } from '../support/windows.ts'

const settings = { deletion_retry_ms: 500 }

let stack: Stack

const shown = (id: string) => rest<DeletionJson>(stack.url, 'GET', `/deletions/${id}`)
const doneOf = (id: string) =>
  until(`delete ${id} is done`, async () => {
    const deletion = await shown(id)
    return deletion.state === 'done' ? deletion : undefined
  })
const code = async (method: string, path: string, body?: object, headers?: Record<string, string>) => {
  const got = await call(stack.url, method, path, body, headers)
  return [got.status, got.status < 300 ? undefined : errorOf(got).code]
}

afterEach(() => stack.close())

describe('on a healthy fleet', () => {
  beforeEach(async () => {
    stack = await startStack({ settings })
  })

  it('a window is removed at once; its chunks stay for the session, whose next turn reads them', async () => {
    const { receipt } = await frozenSession(stack.url)

    const deletion = await deleteWindow(stack.url, 'w')

    expect(deletion).toMatchObject({
      kind: 'window',
      name: 'w',
      state: 'done',
      deleted_chunks: 0,
      residual_chunks: 0,
      kept_chunks: receipt?.chunks,
      kept_for: ['session'],
      unpinned: true,
      lineage_retired: false,
    })
    expect(await pinsHeld(stack.sim)).toBe(0)
    await stack.sim.restartEngine()
    const next = await chat(stack.url, [user('?')], { headers: { 'x-cwm-session': 'ann' } })
    expect(next.cachedTokens).toBe(0)
    const turns = stack.sim.requests.all('engine').filter(({ path }) => path === '/v1/chat/completions')
    const first = JSON.parse(String(turns[0]?.body)) as { messages: unknown[] }
    const again = await chat(stack.url, [...first.messages, user('again')], { headers: { 'x-cwm-session': 'ann' } })
    expect(again.cachedTokens).toBeGreaterThanOrEqual(512)
  })

  it('ending the session then deletes everything, and retires the lineage', async () => {
    const { receipt } = await frozenSession(stack.url)
    await deleteWindow(stack.url, 'w')

    const end = await endSession(stack.url, 'ann')

    expect(end).toMatchObject({ kind: 'session', name: 'ann', state: 'done', residual_chunks: 0, kept_for: [] })
    expect(end.deleted_chunks).toBeGreaterThanOrEqual(receipt?.chunks ?? 99)
    expect(end.lineage_retired).toBe(true)
    expect(await placements(stack.sim)).toBe(0)
  })

  it('a session that ends first keeps the chunks of its windows, and deletes the rest', async () => {
    const { receipt } = await frozenSession(stack.url)
    await chat(stack.url, [user(prose(900, 'another'))], { headers: { 'x-cwm-session': 'ann' } })

    const end = await endSession(stack.url, 'ann')
    const last = await deleteWindow(stack.url, 'w')

    expect(end).toMatchObject({ kept_for: ['window'], residual_chunks: 0, lineage_retired: false })
    expect(end.deleted_chunks).toBeGreaterThanOrEqual(3)
    expect(last).toMatchObject({ deleted_chunks: receipt?.chunks, residual_chunks: 0, lineage_retired: true })
    expect(await placements(stack.sim)).toBe(0)
  })

  it('chunks shared with a clone stay for it', async () => {
    const long = await frozenSession(stack.url)
    await rest(stack.url, 'POST', '/windows/w/clone', { name: 'copy' })
    await endSession(stack.url, 'ann')

    const first = await deleteWindow(stack.url, 'w')
    const second = await deleteWindow(stack.url, 'copy')

    expect(first).toMatchObject({ deleted_chunks: 0, kept_chunks: long.receipt?.chunks, kept_for: ['window'] })
    expect(second).toMatchObject({ deleted_chunks: long.receipt?.chunks, lineage_retired: true })
    expect(await placements(stack.sim)).toBe(0)
    expect(await pinsHeld(stack.sim)).toBe(0)
  })

  it('a name is free again, and its next window has another salt', async () => {
    await frozenSession(stack.url)
    await endSession(stack.url, 'ann')
    await deleteWindow(stack.url, 'w')
    const before = saltsSeen(stack.sim)
    const count = stack.sim.requests.all('engine').length

    await frozenSession(stack.url)

    const later = stack.sim.requests.all('engine').slice(count)
    const salts = later.flatMap(({ body }) =>
      [...String(body).matchAll(/"cache_salt":"([^"]+)"/g)].map(([, salt]) => salt),
    )
    expect(salts.length).toBeGreaterThan(0)
    expect(salts.filter((salt) => before.has(String(salt)))).toEqual([])
  })

  it('repeated deletes, and deletes of another tenant’s data, are answered like unknown names', async () => {
    await frozenSession(stack.url, { headers: { authorization: 'Bearer a' } })
    const absent = await call(stack.url, 'DELETE', '/windows/w', undefined, { authorization: 'Bearer b' })
    const never = await call(stack.url, 'DELETE', '/windows/w', undefined, { authorization: 'Bearer c' })

    expect([absent.status, absent.text]).toEqual([never.status, never.text])
    expect(await code('DELETE', '/sessions/ann', undefined, { authorization: 'Bearer b' })).toEqual([
      404,
      'session_not_found',
    ])
    const deletion = await deleteWindow(stack.url, 'w', { authorization: 'Bearer a' })
    expect(await code('DELETE', '/windows/w', undefined, { authorization: 'Bearer a' })).toEqual([
      404,
      'window_not_found',
    ])
    expect(await code('GET', `/deletions/${deletion.id}`, undefined, { authorization: 'Bearer b' })).toEqual([
      404,
      'deletion_not_found',
    ])
  })

  it('a session whose window was deleted continues, until another is thawed into it', async () => {
    await frozenSession(stack.url)
    await rest(stack.url, 'POST', '/windows/w/clone', { name: 'copy' })
    await rest(stack.url, 'POST', '/windows/w/thaw', { session_id: 'bob' })
    await deleteWindow(stack.url, 'w')

    const got = await chat(stack.url, [user('What is the buoy called?')], { headers: { 'x-cwm-session': 'bob' } })

    expect(got.reply.content).toContain('Lomvi')
    const other = await chat(stack.url, [user('What is the buoy called?')], {
      headers: { 'x-cwm-session': 'bob', 'x-cwm-window': 'copy' },
    })
    expect(other.reply.content).toContain('Lomvi')
  })

  it('a session that thawed a window and had no turn leaves nothing when both are gone', async () => {
    await frozenSession(stack.url)
    await rest(stack.url, 'POST', '/windows/w/thaw', { session_id: 'bob' })
    await endSession(stack.url, 'ann')
    const kept = await deleteWindow(stack.url, 'w')

    const end = await endSession(stack.url, 'bob')

    expect(kept.kept_for).toEqual(['session'])
    expect(end).toMatchObject({ state: 'done', residual_chunks: 0, lineage_retired: true })
    expect(await placements(stack.sim)).toBe(0)
  })

  it('a turn in flight of an ended session is aborted, and restores nothing', async () => {
    stack.sim.fault({ path: '/v1/chat/completions', action: { kind: 'stall' } })
    const turn = askChat(stack.url, [user(prose(700))], { headers: { 'x-cwm-session': 'ann' } })
    await until('the turn is at the engine', async () =>
      stack.sim.requests.all('engine').some(({ path }) => path === '/v1/chat/completions'),
    )

    const end = await endSession(stack.url, 'ann')

    const got = await turn
    expect([got.status, errorOf(got).code]).toEqual([410, 'session_ended'])
    // Its chunks may still be on their way, so the delete is checked again.
    expect(end.state).toBe('open')
    expect(await code('GET', '/sessions/ann')).toEqual([404, 'session_not_found'])
  })

  it('an open stream of an ended session gets an error and breaks', async () => {
    stack.sim.fault({ path: '/v1/chat/completions', action: { kind: 'stall', events: 2 } })
    const turn = askChat(stack.url, [user('hello')], { headers: { 'x-cwm-session': 'ann' }, body: { stream: true } })
    await until('the turn is at the engine', async () =>
      stack.sim.requests.all('engine').some(({ path }) => path === '/v1/chat/completions'),
    )
    await endSession(stack.url, 'ann')

    const got = await turn

    expect(got.text).toContain('session_ended')
    expect(got.text).not.toContain('[DONE]')
    expect(got.clean).toBe(false)
  })

  it('an ended session’s id starts a new lineage', async () => {
    await chat(stack.url, [user(prose(700))], { headers: { 'x-cwm-session': 'ann' } })
    const before = saltsSeen(stack.sim)
    await endSession(stack.url, 'ann')

    const anew = await chat(stack.url, [user(prose(700))], { headers: { 'x-cwm-session': 'ann' } })

    expect(anew.cachedTokens).toBe(0)
    expect(saltsSeen(stack.sim).size).toBe(before.size + 1)
  })

  it('a failed window is deleted like any other', async () => {
    stack.sim.fault({
      path: '/v1/completions',
      times: Number.POSITIVE_INFINITY,
      action: { kind: 'status', status: 500 },
    })
    const { state } = await frozenSession(stack.url)

    const deletion = await deleteWindow(stack.url, 'w')

    expect(state).toBe('failed')
    expect(deletion).toMatchObject({ state: 'done', residual_chunks: 0 })
    expect(await pinsHeld(stack.sim)).toBe(0)
    expect(await code('GET', '/windows/w')).toEqual([404, 'window_not_found'])
  })

  it('a delete waits for the freeze of its window', async () => {
    await chat(stack.url, [user(prose(700))], { headers: { 'x-cwm-session': 'ann' } })
    stack.sim.fault({ path: '/v1/completions', action: { kind: 'delay', ms: 300 } })
    await rest(stack.url, 'POST', '/windows', { name: 'w', session_id: 'ann', wait: false })

    const deletion = await deleteWindow(stack.url, 'w')

    expect(deletion).toMatchObject({ unpinned: true, kept_for: ['session'] })
    expect(await pinsHeld(stack.sim)).toBe(0)
  })

  it("chunks known only to an ended session are remembered until its lineage's last session ends", async () => {
    await frozenSession(stack.url)
    await rest(stack.url, 'POST', '/windows/w/thaw', { session_id: 'bob' })
    const body = { cache_salt: 'of my own' }
    await chat(stack.url, [user(prose(700))], { headers: { 'x-cwm-session': 'ann' }, body })
    const end = await endSession(stack.url, 'ann')
    await deleteWindow(stack.url, 'w')

    const last = await endSession(stack.url, 'bob')

    expect([end.state, end.kept_for]).toEqual(['open', ['session']])
    expect(last).toMatchObject({ state: 'done', lineage_retired: true })
    expect(await doneOf(end.id)).toMatchObject({ residual_chunks: 0 })
    expect(await placements(stack.sim)).toBe(0)
  })

  it("chunks from before a thaw, under the session's own lineage, are deleted too", async () => {
    await frozenSession(stack.url)
    await chat(stack.url, [user(prose(700, 'mine'))], { headers: { 'x-cwm-session': 'bob' } })
    await rest(stack.url, 'POST', '/windows/w/thaw', { session_id: 'bob', replace: true })

    const { data } = await rest<{ data: DeletionJson[] }>(stack.url, 'GET', '/deletions')

    expect(data).toMatchObject([{ kind: 'session', name: 'bob', state: 'open' }])
  })
})

describe('on a degraded fleet', () => {
  it('with LMCache and coordinator down, the window is removed at once, and its chunks once they are up', async () => {
    stack = await startStack({ settings })
    const { receipt } = await frozenSession(stack.url)
    await endSession(stack.url, 'ann')
    await stack.sim.setOnline('coordinator', false)
    await stack.sim.setOnline('lmcache', false)

    const deletion = await deleteWindow(stack.url, 'w')
    await stack.sim.setOnline('lmcache', true)
    await stack.sim.setOnline('coordinator', true)

    expect(deletion).toMatchObject({ state: 'open', residual_chunks: null, unpinned: false, lineage_retired: true })
    expect(await code('GET', '/windows/w')).toEqual([404, 'window_not_found'])
    const done = await doneOf(deletion.id)
    expect(done).toMatchObject({ residual_chunks: 0, unpinned: true, deleted_chunks: receipt?.chunks })
    expect(await placements(stack.sim)).toBe(0)
    expect(await pinsHeld(stack.sim)).toBe(0)
  })

  it('an adapter that ignores deletes is reported as residue, and the delete stays open', async () => {
    stack = await startStack({ sim: { undeletableAdapters: ['resp'] }, settings })
    const { receipt } = await frozenSession(stack.url)
    await endSession(stack.url, 'ann')

    const deletion = await deleteWindow(stack.url, 'w')

    expect(deletion).toMatchObject({ state: 'open', deleted_chunks: 0, residual_chunks: receipt?.chunks })
    expect(deletion.warnings.join()).toMatch(/adapter/)
  })

  it('an adapter that failed once is retried until nothing is left', async () => {
    stack = await startStack({ settings })
    const { receipt } = await frozenSession(stack.url)
    await endSession(stack.url, 'ann')
    const heal = stack.sim.fault({
      server: 'lmcache',
      method: 'DELETE',
      path: '/cache/objects',
      times: Number.POSITIVE_INFINITY,
      action: { kind: 'status', status: 500 },
    })

    const deletion = await deleteWindow(stack.url, 'w')
    heal()

    expect(deletion.state).toBe('open')
    expect(deletion.residual_chunks).not.toBe(0)
    expect(await doneOf(deletion.id)).toMatchObject({ residual_chunks: 0, deleted_chunks: receipt?.chunks })
  })

  it('an order left by a crash is executed at the next start', async () => {
    stack = await startStack({ settings })
    await frozenSession(stack.url)
    await endSession(stack.url, 'ann')
    await stack.sim.setOnline('coordinator', false)
    await stack.sim.setOnline('lmcache', false)
    const deletion = await deleteWindow(stack.url, 'w')
    await stack.stop()
    await stack.sim.setOnline('lmcache', true)
    await stack.sim.setOnline('coordinator', true)

    await stack.restart()

    expect(await doneOf(deletion.id)).toMatchObject({ residual_chunks: 0 })
    expect(await placements(stack.sim)).toBe(0)
  })

  it.each([
    { worldSize: 2, chunkSize: 256 },
    { worldSize: 1, chunkSize: 64 },
    { worldSize: 2, chunkSize: 512 },
  ])('counts whole chunks with %j', async ({ worldSize, chunkSize }) => {
    stack = await startStack({ sim: { worldSize, chunkSize } })
    const { receipt } = await frozenSession(stack.url)
    const near = await rest<{ found_chunks: number; total_chunks: number }>(stack.url, 'POST', '/windows/w/thaw', {
      to: 'l1',
    })
    const pins = await pinsHeld(stack.sim)
    await endSession(stack.url, 'ann')

    const deletion = await deleteWindow(stack.url, 'w')

    const chunks = Math.floor((receipt?.tokens ?? 0) / chunkSize)
    expect(receipt).toMatchObject({ chunks, durability: 'l2' })
    expect(near).toMatchObject({ found_chunks: chunks, total_chunks: chunks })
    expect(pins).toBe(chunks * worldSize)
    expect(deletion).toMatchObject({ deleted_chunks: chunks, residual_chunks: 0 })
    expect(await pinsHeld(stack.sim)).toBe(0)
  })

  it('a delete without LMCache is complete at once', async () => {
    stack = await startStack({ sim: { lmcache: false } })
    await chat(stack.url, [user('hello')], { headers: { 'x-cwm-session': 'ann', 'x-cwm-freeze': 'w' } })
    await settled(stack.url, 'w')
    await endSession(stack.url, 'ann')

    expect(await deleteWindow(stack.url, 'w')).toMatchObject({
      state: 'done',
      residual_chunks: 0,
      lineage_retired: true,
    })
    expect((await ask(stack.url, '/cwm/v1/windows')).text).toBe('{"data":[]}')
  })
})
