// Last turns in memory, on disk or nowhere; what the data directory then contains; and idle sessions.

import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { DeletionJson } from '../../src/wire/deletions.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import { errorOf } from '../support/client.ts'
import { chat, prose, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { call, endSession, placements, rest, saltsSeen } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack

afterEach(() => stack.close())

const WORDS = 'Lomvi lies at anchor'
const turn = (session = 'ann') =>
  chat(stack.url, [user(`${prose(700)}. ${WORDS}.`)], { headers: { 'x-cwm-session': session } })
const freeze = (name: string, more: object = {}) =>
  call(stack.url, 'POST', '/windows', { name, session_id: 'ann', ...more })
const freezable = async () => (await rest<{ freezable: boolean }>(stack.url, 'GET', '/sessions/ann')).freezable

async function stored(): Promise<Buffer> {
  const files = await readdir(stack.dataDir, { recursive: true, withFileTypes: true })
  const reads = files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name)))
  return Buffer.concat(await Promise.all(reads))
}

describe('the last turn of a session', () => {
  it('in memory can be frozen by REST until the process ends', async () => {
    stack = await startStack()
    await turn()
    expect(await freezable()).toBe(true)

    await stack.restart()

    expect(await freezable()).toBe(false)
    const got = await freeze('w')
    expect([got.status, errorOf(got).code]).toEqual([409, 'session_empty'])
    expect(errorOf(got).message).toContain('x-cwm-freeze: w')
  })

  // Found by random lives: the last turn's lineage was retired by then, and the error said that the session had ended.
  it('cannot be frozen once another window was thawed into the session', async () => {
    stack = await startStack()
    await turn()
    await rest(stack.url, 'PUT', '/windows/other', { model: 'sim-model', document: 'The tide is low.' })
    await rest(stack.url, 'POST', '/windows/other/thaw', { session_id: 'ann', replace: true })

    const got = await freeze('w')

    expect([got.status, errorOf(got).code]).toEqual([409, 'session_empty'])
    expect(await freezable()).toBe(false)
    await turn()
    expect(await freezable()).toBe(true)
  })

  it('cannot be frozen once another window of the same name and lineage was thawed into the session', async () => {
    stack = await startStack()
    await rest(stack.url, 'PUT', '/windows/log', { model: 'sim-model', document: 'The tide is low.' })
    await rest(stack.url, 'POST', '/windows/log/clone', { name: 'base' })
    const toBase = () => rest(stack.url, 'POST', '/windows/base/thaw', { session_id: 'ann', replace: true })
    await toBase()
    await turn()
    await toBase()
    expect(await freezable()).toBe(true)
    await rest(stack.url, 'DELETE', '/windows/base')
    await rest(stack.url, 'POST', '/windows/log/clone', { name: 'base' })

    await toBase()

    expect(await freezable()).toBe(false)
  })

  it('on disk can be frozen by REST after a restart, with the KV that still exists', async () => {
    stack = await startStack({ settings: { retain: 'disk' } })
    await turn()
    await until('the turn is on disk', freezable)

    await stack.restart()
    const window = await rest<WindowJson>(stack.url, 'POST', '/windows', { name: 'w', session_id: 'ann' })

    expect(window).toMatchObject({ state: 'frozen', receipt: { durability: 'l2' } })
    expect(window.receipt?.computed_tokens).toBeLessThan(64)
  })

  it('on disk is stored even if cwm stops right after the answer', async () => {
    stack = await startStack({ settings: { retain: 'disk' } })
    await turn()

    await stack.restart()

    expect(await freezable()).toBe(true)
  })

  it('nowhere can be frozen by its header only', async () => {
    stack = await startStack({ settings: { retain: 'off' } })
    await turn()

    const got = await freeze('w')

    expect([got.status, errorOf(got).code]).toEqual([409, 'session_empty'])
  })
})

describe('the data directory', () => {
  async function fill(settings: object): Promise<Buffer> {
    stack = await startStack({ settings: { retain: 'disk', ...settings } })
    await turn()
    await until('the turn is on disk', freezable)
    await freeze('kept', { note: WORDS })
    stack.sim.fault({
      path: '/v1/completions',
      action: { kind: 'status', status: 400, body: { error: { message: WORDS } } },
    })
    expect((await freeze('failed')).text).toContain('"failed"')
    // An open order, with the ids of its window.
    await stack.sim.setOnline('coordinator', false)
    await stack.sim.setOnline('lmcache', false)
    await rest(stack.url, 'PUT', '/windows/doc', { model: 'sim-model', document: WORDS })
    await call(stack.url, 'DELETE', '/windows/doc')
    await endSession(stack.url, 'ann')
    await stack.stop()
    return await stored()
  }

  it('contains the text without a key, and no salt', async () => {
    const bytes = await fill({})

    expect(bytes.includes(WORDS)).toBe(true)
    expect(saltsSeen(stack.sim).size).toBeGreaterThan(1)
    for (const salt of saltsSeen(stack.sim)) expect(bytes.includes(salt)).toBe(false)
  })

  it('contains neither text nor ids nor salt with a key', async () => {
    const bytes = await fill({ encryption_key: randomBytes(32).toString('base64') })

    expect(bytes.includes(WORDS)).toBe(false)
    expect(bytes.includes('Lomvi')).toBe(false)
    for (const salt of saltsSeen(stack.sim)) expect(bytes.includes(salt)).toBe(false)
    const warm = stack.sim.requests.all('engine').find(({ path }) => path === '/v1/completions')
    const { prompt } = JSON.parse(String(warm?.body)) as { prompt: number[] }
    expect(bytes.includes(Buffer.from(Uint32Array.from(prompt.slice(20, 40)).buffer))).toBe(false)
  })
})

describe('an idle session', () => {
  it('is ended after its idle time, with its KV, even if it is named or was thawed', async () => {
    stack = await startStack()
    await turn()
    await freeze('w')
    await rest(stack.url, 'POST', '/windows/w/thaw', { session_id: 'bob' })
    await chat(stack.url, [user(prose(700, 'nameless'))])
    await call(stack.url, 'DELETE', '/windows/w')

    await stack.restart({ session_ttl_ms: 1, boundary_ttl_ms: 1 })

    const ended = async () => (await rest<{ data: object[] }>(stack.url, 'GET', '/sessions')).data.length === 0
    await until('all sessions are ended', ended)
    await until('nothing is left of them', async () => (await placements(stack.sim)) === 0, 14_000)
  })

  it('that nobody continued is ended with others, by one deletion and one audit entry, with its KV', async () => {
    stack = await startStack()
    for (const words of ['one', 'two', 'three']) await chat(stack.url, [user(prose(700, words))])
    expect(await placements(stack.sim)).toBeGreaterThan(0)

    await stack.restart({ boundary_ttl_ms: 1 })

    const doneOf = async () => {
      const { data } = await rest<{ data: DeletionJson[] }>(stack.url, 'GET', '/deletions')
      return data[0]?.state === 'done' && data
    }
    const deletions = await until('they are ended', doneOf, 14_000)
    expect(deletions).toMatchObject([{ kind: 'sessions', name: '3', lineage_retired: true }])
    expect(await placements(stack.sim)).toBe(0)
    const audit = await until('it is in the audit log', async () => {
      const { data } = await rest<{ data: object[] }>(stack.url, 'GET', '/audit')
      return data.length > 0 && data
    })
    expect(audit).toMatchObject([{ action: 'end', target: 'tenant', actor: 'cwm', receipt: { sessions: 3 } }])
    expect(await rest(stack.url, 'GET', '/sessions')).toEqual({ data: [] })
  })

  it('is kept without an idle limit', async () => {
    stack = await startStack({ settings: { session_ttl_ms: 0 } })
    await turn()

    await stack.restart()

    expect((await rest<{ data: { id: string }[] }>(stack.url, 'GET', '/sessions')).data.map(({ id }) => id)).toEqual([
      'ann',
    ])
  })
})
