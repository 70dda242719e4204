// When a commit that must survive a power cut is reported as stored.

import { mkdtempSync, rmSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { aSession } from '../../../test/contracts/store/sample-records.ts'
import type { Store } from '../store.ts'
import { openSqliteStore } from './sqlite.ts'

let folder: string
let store: Store
/** Each flush waits for this. */
let flushes: Flush[]

interface Flush {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cwm-flush-'))
  store = await openSqliteStore({ path: join(folder, 'cwm.db'), writeAfterMs: 60_000 })
  flushes = []
  const file = await open(join(folder, 'cwm.db'), 'r')
  const proto = Object.getPrototypeOf(file) as FileHandle
  await file.close()
  vi.spyOn(proto, 'datasync').mockImplementation(
    () => new Promise<void>((resolve, reject) => flushes.push({ resolve: () => resolve(), reject })),
  )
})

afterEach(async () => {
  vi.restoreAllMocks()
  await store.close()
  rmSync(folder, { recursive: true, force: true })
})

async function flushNumber(n: number): Promise<Flush> {
  return await vi.waitFor(() => {
    const flush = flushes[n - 1]
    if (flush === undefined) throw new Error(`no flush ${n} yet`)
    return flush
  })
}

describe('a commit that must survive a power cut', () => {
  it('resolves after its flush, and the store can be read meanwhile', async () => {
    let isStored = false
    const stored = store.getOrCreateSession(aSession({ id: 'one' })).then(() => {
      isStored = true
    })
    const flush = await flushNumber(1)

    expect((await store.getSession('acme', 'one'))?.id).toBe('one')
    expect(isStored).toBe(false)

    flush.resolve()
    await stored
  })

  it('shares the next flush with those made during one', async () => {
    const first = store.getOrCreateSession(aSession({ id: 'one' }))
    const flush = await flushNumber(1)
    const others = ['two', 'three'].map((id) => store.getOrCreateSession(aSession({ id })))

    flush.resolve()
    await first
    const second = await flushNumber(2)
    second.resolve()
    await Promise.all(others)

    expect(flushes).toHaveLength(2)
  })

  it('fails if its flush does', async () => {
    const stored = store.getOrCreateSession(aSession({ id: 'one' }))
    const flush = await flushNumber(1)

    flush.reject(new Error('the disk is gone'))

    await expect(stored).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })

  it('is not needed for another turn of a stored session', async () => {
    const stored = store.getOrCreateSession(aSession({ id: 'one' }))
    const flush = await flushNumber(1)
    flush.resolve()
    await stored

    expect(await store.saveTurn(aSession({ id: 'one', turns: 2 }), { boundaries: [], keepBoundaries: 4 }, false)).toBe(
      'saved',
    )

    expect(flushes).toHaveLength(1)
  })
})
