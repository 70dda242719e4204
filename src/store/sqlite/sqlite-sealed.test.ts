// Searches every byte of the data directory for known text: present without a key, absent with one.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { anOrder, aSession, aTurn, aWindow, someContent } from '../../../test/contracts/store/sample-records.ts'
import { Sealer } from '../seal.ts'
import type { Store } from '../store.ts'
import { openSqliteStore } from './sqlite.ts'

const ids = Uint32Array.from({ length: 16 }, (_, n) => 90_001 + n)
const moreIds = Uint32Array.from({ length: 16 }, (_, n) => 80_001 + n)
const known: Readonly<Record<string, string | Uint32Array>> = {
  prompt: 'the plan of the prompt',
  ids,
  reason: 'the plan of the reason',
  note: 'the plan of the note',
  'retained turn': 'the plan of the retained turn',
  'ids of a delete': moreIds,
}
const sealer = new Sealer(Buffer.alloc(32, 7))

let folder: string
let path: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cwm-sealed-'))
  path = join(folder, 'cwm.db')
})

afterEach(() => rmSync(folder, { recursive: true }))

async function fill(store: Store): Promise<void> {
  const { prompt, reason, note, 'retained turn': turn } = known
  const words = { reason: String(reason), note: String(note) }
  await store.reserveWindow(aWindow({ state: 'failed', ...words }), someContent(String(prompt), [...ids]))
  await store.getOrCreateSession(aSession())
  await store.getOrCreateSession(aSession({ id: 'ended' }))
  await store.removeSession(aSession({ id: 'ended' }), anOrder({ kind: 'session' }), [moreIds])
  await store.putRetained('acme', 'session-1', aTurn(String(turn)), 10_000)
}

/** The known texts and ids that are in the folder in clear. */
function found(): readonly string[] {
  const bytes = Buffer.concat(readdirSync(folder).map((name) => readFileSync(join(folder, name))))
  return Object.entries(known)
    .filter(([, value]) => bytes.includes(typeof value === 'string' ? value : Buffer.from(value.buffer)))
    .map(([name]) => name)
}

describe('the data directory', () => {
  it('contains all of it in clear without a key', async () => {
    const store = await openSqliteStore({ path })
    await fill(store)
    await store.close()

    expect(found()).toEqual(Object.keys(known))
  })

  it('contains none of it with a key, neither while the store is open nor afterwards', async () => {
    const store = await openSqliteStore({ path, sealer })
    await fill(store)
    const whileOpen = found()
    await store.close()

    expect(whileOpen).toEqual([])
    expect(found()).toEqual([])
  })

  it('contains none of it any longer once encryption was enabled and everything re-encrypted', async () => {
    const before = await openSqliteStore({ path })
    await fill(before)
    await before.close()

    const store = await openSqliteStore({ path, sealer })
    while ((await store.reseal(1)) > 0);
    await store.close()

    expect(found()).toEqual([])
  })
})
