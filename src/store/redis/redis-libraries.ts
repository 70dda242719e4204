// Libraries in Redis: a sealed record of each, and the sealed prompts of the windows that are not frozen yet.

import { isOpenLibrary, type LibraryRecord } from '../../base/library-records.ts'
import type { Prompt } from '../../base/records.ts'
import type { LibraryMethods, PendingPart } from '../library-methods.ts'
import { checkLimit, positionIn, toPage } from '../page.ts'
import type { Place } from '../seal.ts'
import { jsonInBytes } from '../stored-values.ts'
import type { RedisRows } from './redis-rows.ts'
import type { Transaction } from './redis-transaction.ts'
import { fromStored, toJson, toStored } from './redis-values.ts'

/** The places under which a library's record and the prompt of a pending part are sealed. */
export const libraryPlace = (tenant: string, name: string): Place => ['library', tenant, name]
export const libraryPartPlace = (tenant: string, name: string, window: string): Place => [
  'library part',
  tenant,
  name,
  window,
]

/** Another process may remove a library between the reads of its name and its record. */
const isThere = <T>(found: T | undefined): found is T => found !== undefined

/** The library methods of the store. */
export function librariesIn(rows: RedisRows): LibraryMethods {
  const { sealer } = rows

  function recordIn(tenant: string, name: string, stored: Buffer): LibraryRecord {
    return jsonInBytes(fromStored(sealer, stored, libraryPlace(tenant, name)))
  }

  /** The stored record, which must still be there when the transaction is committed. */
  async function read(tx: Transaction, tenant: string, name: string): Promise<LibraryRecord | undefined> {
    const key = rows.keysOf(tenant).library(name)
    const stored = await rows.get(key)
    tx.expect(key, stored)
    return stored === null ? undefined : recordIn(tenant, name, stored)
  }

  async function replaceParts(
    tx: Transaction,
    { tenant, name }: Pick<LibraryRecord, 'tenant' | 'name'>,
    parts: readonly PendingPart[],
  ): Promise<void> {
    const keys = rows.keysOf(tenant)
    for (const window of await rows.texts('HKEYS', keys.libraryParts(name))) {
      tx.write('DEL', keys.libraryPart(name, window))
    }
    tx.write('DEL', keys.libraryParts(name))
    for (const { window, prompt } of parts) {
      const stored = toStored(sealer, toJson(prompt), libraryPartPlace(tenant, name, window))
      tx.write('SET', keys.libraryPart(name, window), stored)
      tx.write('HSET', keys.libraryParts(name), window, 0)
    }
  }

  async function get(tenant: string, name: string): Promise<LibraryRecord | undefined> {
    const stored = await rows.get(rows.keysOf(tenant).library(name))
    return stored === null ? undefined : recordIn(tenant, name, stored)
  }

  return {
    getLibrary: get,

    async listLibraries(tenant, page) {
      checkLimit(page.limit)
      const position = positionIn('libraries', page, 'string', 'string')
      const after = position && { score: 0, name: position[1] }
      const entries = await rows.page(rows.keysOf(tenant).libraries, { order: 'asc', limit: page.limit, after })
      const { items, ...rest } = toPage(
        'libraries',
        entries,
        page.limit,
        (entry) => entry.name,
        (entry) => ['', entry.name],
      )
      return { items: (await Promise.all(items.map((name) => get(tenant, name)))).filter(isThere), ...rest }
    },

    countLibraries: (tenant) => rows.number('ZCARD', rows.keysOf(tenant).libraries),

    putLibrary: (record, parts) =>
      rows.atomically(
        record.tenant,
        async (tx) => {
          const { tenant, name, revision } = record
          const keys = rows.keysOf(tenant)
          const held = await read(tx, tenant, name)
          if ((held?.revision ?? 0) !== revision - 1) return false
          tx.write('SET', keys.library(name), toStored(sealer, toJson(record), libraryPlace(tenant, name)))
          tx.write('ZADD', keys.libraries, 0, name)
          tx.write(isOpenLibrary(record) ? 'SADD' : 'SREM', keys.openLibraries, name)
          if (parts !== undefined) await replaceParts(tx, record, parts)
          return true
        },
        rows.contents,
      ),

    removeLibrary: (tenant, name, revision) =>
      rows.atomically(tenant, async (tx) => {
        const held = await read(tx, tenant, name)
        if ((held?.revision ?? 0) !== revision) return false
        await remove(tx, rows, { tenant, name })
        return true
      }),

    async listOpenLibraries(atMost) {
      const open = await rows.ofAllTenants(async (tenant) =>
        (await rows.texts('SMEMBERS', rows.keysOf(tenant).openLibraries)).map((name) => ({ tenant, name })),
      )
      return open.slice(0, atMost)
    },

    async listLibraryParts(tenant, name) {
      const words = await rows.texts('HGETALL', rows.keysOf(tenant).libraryParts(name))
      const parts = new Map<string, boolean>()
      for (let n = 0; n < words.length; n += 2) parts.set(words[n] ?? '', words[n + 1] === '1')
      return parts
    },

    async getLibraryPart(tenant, name, window) {
      const stored = (await rows.contents.call('GET', rows.keysOf(tenant).libraryPart(name, window))) as Buffer | null
      if (stored === null) return undefined
      return jsonInBytes<Prompt>(fromStored(sealer, stored, libraryPartPlace(tenant, name, window)))
    },

    markLibraryPart: (tenant, name, window, done) =>
      rows.atomically(tenant, async (tx) => {
        const keys = rows.keysOf(tenant)
        // Its library may be removed meanwhile.
        const library = await rows.get(keys.library(name))
        if (library === null || (await rows.number('HEXISTS', keys.libraryParts(name), window)) === 0) return
        tx.expect(keys.library(name), library)
        tx.write('HSET', keys.libraryParts(name), window, Number(done))
      }),
  }
}

/** Adds the removal of a library and its pending parts to `tx`. */
async function remove(
  tx: Transaction,
  rows: RedisRows,
  { tenant, name }: Pick<LibraryRecord, 'tenant' | 'name'>,
): Promise<void> {
  const keys = rows.keysOf(tenant)
  for (const window of await rows.texts('HKEYS', keys.libraryParts(name))) {
    tx.write('DEL', keys.libraryPart(name, window))
  }
  tx.write('DEL', keys.libraryParts(name))
  tx.write('DEL', keys.library(name))
  tx.write('ZREM', keys.libraries, name)
  tx.write('SREM', keys.openLibraries, name)
}

/** Removes all libraries of a tenant. */
export async function dropLibraries(rows: RedisRows, tenant: string): Promise<void> {
  for (const name of await rows.texts('ZRANGE', rows.keysOf(tenant).libraries, 0, -1)) {
    await rows.atomically(tenant, (tx) => remove(tx, rows, { tenant, name }))
  }
}
