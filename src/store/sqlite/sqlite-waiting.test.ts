// Waiting turns, as the file and its readers see them. A second connection sees only what is written.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Libsql from 'libsql'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { aBoundary, aSession, noon } from '../../../test/contracts/store/sample-records.ts'
import type { Store } from '../store.ts'
import type { SaveOutcome } from '../store-values.ts'
import { openSqliteStore } from './sqlite.ts'

/** Longer than any test, so nothing is written because of time. */
const NEVER_MS = 60_000

let folder: string
let store: Store
let other: Store

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cwm-waiting-'))
  store = await openSqliteStore({ path: join(folder, 'cwm.db'), writeAfterMs: NEVER_MS })
  other = await openSqliteStore({ path: join(folder, 'cwm.db') })
})

afterEach(async () => {
  await store.close()
  await other.close()
  rmSync(folder, { recursive: true, force: true })
})

function turn(turns: number, digests: readonly string[], id = 'session-1', mayWait = true): Promise<SaveOutcome> {
  const boundaries = digests.map((digest) => aBoundary({ digest, sessionId: id }))
  return store.saveTurn(aSession({ id, turns }), { boundaries, keepBoundaries: 4, mayWait }, true)
}

async function written(id = 'session-1'): Promise<number | undefined> {
  return (await other.getSession('acme', id))?.turns
}

describe('a turn that may wait', () => {
  it('is not in the file yet, but visible through this store', async () => {
    const saved = turn(1, ['a'])
    expect(await written()).toBeUndefined()

    expect((await store.getSession('acme', 'session-1'))?.turns).toBe(1)

    expect(await saved).toBe('saved')
    expect(await written()).toBe(1)
  })

  it('is not written for a ping', async () => {
    const saved = turn(1, ['a'])

    await store.ping()

    expect(await written()).toBeUndefined()
    await store.getSession('acme', 'session-1')
    await saved
  })

  it('is written together with one that may not wait', async () => {
    const saved = turn(1, ['a'])

    expect(await turn(1, [], 'two', false)).toBe('saved')

    expect(await saved).toBe('saved')
    expect(await written()).toBe(1)
  })

  it('is written once for its session, with the newest record and all boundaries', async () => {
    const saves = [turn(1, ['a']), turn(2, ['b']), turn(3, ['c'])]
    await store.getSession('acme', 'session-1')

    expect(await Promise.all(saves)).toEqual(['saved', 'saved', 'saved'])
    expect(await written()).toBe(3)
    expect([...(await other.findBoundaries('acme', ['a', 'b', 'c'], noon)).keys()]).toEqual(['a', 'b', 'c'])
  })

  it('makes a history of another session ambiguous, in the order of arrival', async () => {
    const saves = [turn(1, ['shared']), turn(1, ['shared'], 'two')]
    await store.getSession('acme', 'two')
    await Promise.all(saves)

    expect(await other.findBoundaries('acme', ['shared'], noon)).toEqual(new Map([['shared', 'ambiguous']]))
  })

  it('is written after its delay', async () => {
    await store.close()
    store = await openSqliteStore({ path: join(folder, 'cwm.db'), writeAfterMs: 1 })

    expect(await turn(1, ['a'])).toBe('saved')
    expect(await written()).toBe(1)
  })

  it('is written when the store closes', async () => {
    const saved = turn(1, ['a'])

    await store.close()

    expect(await saved).toBe('saved')
    expect(await written()).toBe(1)
  })

  it('is written after an earlier one that waits for another process’s lock, even if the store closes meanwhile', async () => {
    await turn(1, [], 'session-1', false)
    const holder = new Libsql(join(folder, 'cwm.db'))
    holder.exec('BEGIN IMMEDIATE')
    const saves = [turn(2, ['a'], 'session-1', false)]
    holder.exec('COMMIT')
    holder.close()

    saves.push(turn(3, ['b'], 'session-1', false))
    await store.close()

    expect(await Promise.all(saves)).toEqual(['saved', 'saved'])
    expect(await written()).toBe(3)
  })

  it('of a session that was ended meanwhile is rejected, without affecting others', async () => {
    await turn(1, [], 'session-1', false)
    const late = store.saveTurn(
      aSession({ turns: 2, lineage: 'elsewhere' }),
      { boundaries: [], keepBoundaries: 4, mayWait: true },
      false,
    )
    const fine = turn(1, [], 'two')
    await store.getSession('acme', 'two')

    expect([await late, await fine]).toEqual(['gone', 'saved'])
  })
})
