// A file of an older cwm after the update: everything is found, and new fields have their initial values.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Libsql from 'libsql'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  anEntry,
  anEvent,
  aSession,
  aTurn,
  aWindow,
  fullReceipt,
  noon,
  someContent,
} from '../../../test/contracts/store/sample-records.ts'
import type { Store } from '../store.ts'
import { openSqliteStore } from './sqlite.ts'
import { applicationId, migrations } from './sqlite-schema.ts'

const quote = 'as he said: "é \u0000 \ud800"'
const session = {
  tenant: 'acme',
  id: 'session-1',
  named: true,
  lineage: 'lineage-1',
  createdAt: noon,
  lastTurnAt: noon,
  turns: 2,
}
const window = {
  tenant: 'acme',
  name: 'draft',
  id: 'window-1',
  state: 'frozen',
  sessionId: 'session-1',
  lineage: 'lineage-1',
  parent: 'before',
  dialect: 'chat',
  model: 'small',
  messageCount: 1,
  replyAt: 1,
  createdAt: noon,
  frozenAt: noon + 5,
  pin: 'pinned',
  receipt: { ...fullReceipt, tokens: 600 },
}
const failed = {
  ...window,
  name: 'broken',
  id: 'window-2',
  state: 'failed',
  reason: quote,
  pin: 'none',
  receipt: undefined,
}
const content = someContent(quote, [1, 2, 0xffffffff])

let folder: string
let store: Store

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cwm-schema-'))
  const path = join(folder, 'cwm.db')
  const db = new Libsql(path)
  db.exec(migrations[0] ?? '')
  db.exec(`PRAGMA application_id = ${applicationId}`)
  db.exec('PRAGMA user_version = 1')
  const run = (sql: string, ...values: unknown[]) => db.prepare<[unknown[]]>(sql).run(values)
  run('INSERT INTO meta VALUES (?, ?)', 'secret_check', 'sum')
  run('INSERT INTO sessions VALUES (?, ?, ?, ?)', 'acme', 'session-1', noon, JSON.stringify(session))
  const bound = { ...session, id: 'bob', baseWindow: 'draft', baseWindowId: 'window-1' }
  run('INSERT INTO sessions VALUES (?, ?, ?, ?)', 'globex', 'bob', noon, JSON.stringify({ ...bound, tenant: 'globex' }))
  run('INSERT INTO boundaries VALUES (?, ?, ?, ?, ?)', 1, 'acme', 'digest-1', 'session-1', noon + 9)
  for (const [n, held] of [window, failed].entries()) {
    const { tenant, name, id, state, pin, createdAt } = held
    const columns = [n + 1, tenant, name, id, state, pin, createdAt, JSON.stringify(held)]
    run('INSERT INTO windows VALUES (?, ?, ?, ?, ?, ?, ?, ?)', ...columns)
    run('INSERT INTO window_prompts VALUES (?, ?)', n + 1, JSON.stringify(content.prompt))
    run('INSERT INTO window_tokens VALUES (?, ?)', n + 1, Buffer.from(content.tokenIds.buffer))
  }
  db.close()
  store = await openSqliteStore({ path })
})

afterEach(async () => {
  await store.close()
  rmSync(folder, { recursive: true })
})

const bytes = Buffer.byteLength(JSON.stringify(content.prompt)) + 12
const added = { origin: 'session', tags: [], kvEpoch: 0, bytes }

describe('a store of schema version 1', () => {
  it('keeps its sessions, with the head and the spaces that they had: none', async () => {
    expect(await store.getSession('acme', 'session-1')).toEqual({ ...session, head: 0, spaces: [] })
    expect(await store.findBoundaries('acme', ['digest-1'], noon)).toEqual(
      new Map([['digest-1', { sessionId: 'session-1' }]]),
    )
    expect(await store.claimMeta('secret_check', 'another')).toBe('sum')
    expect(await store.listIdle(noon + 1, true, 9)).toHaveLength(2)
    expect(await store.listIdle(noon + 1, false, 9)).toHaveLength(0)
  })

  it('keeps its windows with their content, and the reason of a failed one', async () => {
    const { receipt: _none, ...broken } = failed

    expect(await store.getWindow('acme', 'draft')).toEqual({ ...window, ...added })
    expect(await store.getWindow('acme', 'broken')).toEqual({ ...broken, ...added })
    expect(await store.getWindowContent('acme', 'draft', 'window-1')).toEqual(content)
    expect(await store.getWindowContent('acme', 'broken', 'window-2')).toEqual(content)
  })

  it('knows which sessions are based on a window', async () => {
    const { count } = await store.sessionsOn({ ...aWindow(), tenant: 'globex' })

    expect(count).toBe(1)
  })

  it('finds them by new fields: usage, filters, sorts, holders', async () => {
    const names = async (query: Parameters<Store['listWindows']>[1]) =>
      (await store.listWindows('acme', query)).items.map(({ name }) => name)

    expect(await store.usageOf('acme')).toEqual({ windows: 2, windowBytes: 2 * bytes, sessions: 1, pinnedTokens: 600 })
    expect(await names({ limit: 5, parent: 'before', sessionId: 'session-1', model: 'small', pin: 'pinned' })).toEqual([
      'draft',
    ])
    expect(await names({ limit: 5, sort: 'tokens' })).toEqual(['draft', 'broken'])
    expect(await names({ limit: 5, sort: 'thawed', order: 'asc' })).toEqual(['broken', 'draft'])
    expect(await store.retireLineage('acme', 'lineage-1')).toBe(false)
    expect((await store.holdersOf('acme', 'lineage-1')).windows).toHaveLength(2)
  })
})

describe('a store of schema version 11', () => {
  it('keeps its stored responses, whose engine is unknown, and has no placements', async () => {
    const path = join(folder, 'eleven.db')
    const db = new Libsql(path)
    for (const step of migrations.slice(0, 11)) db.exec(step)
    db.exec(`PRAGMA application_id = ${applicationId}`)
    db.exec('PRAGMA user_version = 11')
    db.prepare<[unknown[]]>('INSERT INTO responses VALUES (?, ?, ?, ?)').run(['acme', 'resp-1', 'session-1', noon + 9])
    db.close()
    const older = await openSqliteStore({ path })

    expect(await older.findResponse('acme', 'resp-1', noon)).toEqual({ sessionId: 'session-1' })
    expect(await older.countPlacements('http://a.example:8000')).toBe(0)
    expect(await older.place('key', 'http://a.example:8000', undefined, 1000)).toBe('http://a.example:8000')
    await older.close()
  })
})

describe('a store of schema version 7', () => {
  it('counts what each tenant has of audit entries, failed attempts, events and retained turns', async () => {
    const path = join(folder, 'seven.db')
    const db = new Libsql(path)
    for (const step of migrations.slice(0, 7)) db.exec(step)
    db.exec(`PRAGMA application_id = ${applicationId}`)
    db.exec('PRAGMA user_version = 7')
    const run = (sql: string, ...values: unknown[]) => db.prepare<[unknown[]]>(sql).run(values)
    for (let n = 0; n < 12; n++) {
      const tenant = n < 2 ? 'acme' : 'junk'
      const entry = { id: `e-${n}`, at: noon + n, tenant, outcome: n % 2 === 0 ? 'ok' : 'busy' }
      run(
        'INSERT INTO audit (tenant, at, id, entry) VALUES (?, ?, ?, ?)',
        tenant,
        entry.at,
        entry.id,
        JSON.stringify(entry),
      )
      run('INSERT INTO events VALUES (?, ?, ?)', noon * 1000 + n, tenant, JSON.stringify({ tenant, session: `s-${n}` }))
      run(
        'INSERT INTO retained (tenant, session_id, bytes, key_id, turn) VALUES (?, ?, 100000, 0, ?)',
        tenant,
        `s-${n}`,
        Buffer.from('{}'),
      )
    }
    run("UPDATE totals SET total = 0 WHERE of = 'events_from'")
    db.close()
    const older = await openSqliteStore({ path })

    await older.appendAudit({ ...anEntry({ tenant: 'globex' }), at: noon + 50 }, 4)
    await older.appendAudit({ ...anEntry({ tenant: 'globex', outcome: 'busy' }), id: 'g', at: noon + 51 }, 4)
    await older.appendEvent(anEvent({ tenant: 'globex' }), 5)
    await older.getOrCreateSession(aSession({ tenant: 'globex' }))
    await older.putRetained('globex', 'session-1', aTurn(), 1_200_000)

    const audited = (await older.listAudit(undefined, { limit: 50 })).items
    expect(audited.map(({ tenant, id }) => `${tenant} ${id}`)).toEqual([
      'globex g',
      'globex entry-1',
      'junk e-11',
      'junk e-10',
      'junk e-9',
      'junk e-8',
      'acme e-1',
      'acme e-0',
    ])
    const events = async (tenant: string) =>
      (await older.listEvents(tenant, '1', 50)).events.map((event) => event.session)
    expect([await events('acme'), await events('junk')]).toEqual([
      ['s-0', 's-1'],
      ['s-10', 's-11'],
    ])
    expect((await older.listEvents('acme', '1', 50)).missed).toBe(false)
    expect((await older.listEvents('junk', '1', 50)).missed).toBe(true)
    expect(await older.getRetained('acme', 's-0')).toEqual({})
    expect(await older.getRetained('junk', 's-2')).toBeUndefined()
    expect(await older.getRetained('globex', 'session-1')).toBeDefined()
    await older.close()
  })
})
