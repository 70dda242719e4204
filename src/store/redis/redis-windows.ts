// Windows in Redis: names, changes, content, and their end. redis-window-list.ts lists them.

import type { Prompt, WindowContent, WindowRecord } from '../../base/records.ts'
import type { Place } from '../seal.ts'
import type { Store } from '../store.ts'
import type { ReserveOutcome, WindowLimits } from '../store-values.ts'
import { jsonInBytes, tokenIdsIn, tokenIdsToBytes } from '../stored-values.ts'
import { isFree } from '../window-rows.ts'
import { writeOrder } from './redis-deletions.ts'
import { holdIfNeeded, refreshSessionsOn } from './redis-held.ts'
import type { TenantKeys } from './redis-keys.ts'
import type { RedisRows } from './redis-rows.ts'
import type { Transaction } from './redis-transaction.ts'
import { fromStored, toJson, toStored, windowFromStored, windowToStored } from './redis-values.ts'
import { reindex } from './redis-window-index.ts'

type Windows = Pick<Store, 'reserveWindow' | 'changeWindow' | 'getWindow' | 'getWindowContent' | 'removeWindow'>

/** The place under which a window's prompt and ids are sealed. */
export const promptPlace = (tenant: string, name: string, id: string): Place => ['window prompt', tenant, name, id]
export const idsPlace = (tenant: string, name: string, id: string): Place => ['window ids', tenant, name, id]

/** The window methods of the store, except the lists. */
export function windowsIn(rows: RedisRows): Windows {
  const { sealer } = rows

  async function read(tx: Transaction, tenant: string, name: string): Promise<WindowRecord | undefined> {
    const key = rows.keysOf(tenant).window(name)
    const raw = await rows.get(key)
    tx.expect(key, raw)
    return raw === null ? undefined : windowFromStored(sealer, raw)
  }

  function putIds(tx: Transaction, { tenant, name, id }: WindowRecord, tokenIds: Uint32Array): void {
    const bytes = toStored(sealer, tokenIdsToBytes(tokenIds), idsPlace(tenant, name, id))
    tx.write('SET', rows.keysOf(tenant).tokenIds(name), bytes)
  }

  function putContent(tx: Transaction, record: WindowRecord, content: WindowContent): void {
    const { tenant, name, id } = record
    const bytes = toStored(sealer, toJson(content.prompt), promptPlace(tenant, name, id))
    tx.write('SET', rows.keysOf(tenant).prompt(name), bytes)
    putIds(tx, record, content.tokenIds)
  }

  function contentOf(tenant: string, name: string, id: string, prompt: Buffer, ids: Buffer): WindowContent {
    return {
      prompt: jsonInBytes<Prompt>(fromStored(sealer, prompt, promptPlace(tenant, name, id))),
      tokenIds: tokenIdsIn(fromStored(sealer, ids, idsPlace(tenant, name, id))),
    }
  }

  /** Checks the limits against the current counts, and makes the transaction enforce them. */
  async function checkLimits(
    tx: Transaction,
    keys: TenantKeys,
    record: WindowRecord,
    replaced: WindowRecord | undefined,
    { maxWindows, maxBytes }: WindowLimits,
  ): Promise<ReserveOutcome> {
    if (maxWindows === undefined && maxBytes === undefined) return 'stored'
    const [windows, bytes] = await counters(rows, keys)
    const mostWindows = (maxWindows ?? Number.MAX_SAFE_INTEGER) - (replaced === undefined ? 1 : 0)
    const mostBytes = (maxBytes ?? Number.MAX_SAFE_INTEGER) - record.bytes + (replaced?.bytes ?? 0)
    if (windows > mostWindows) return 'too_many'
    if (bytes > mostBytes) return 'too_large'
    tx.expectAtMost(keys.usage, 'windows', mostWindows)
    tx.expectAtMost(keys.usage, 'bytes', mostBytes)
    return 'stored'
  }

  return {
    reserveWindow: (record, content, limits = {}) =>
      rows.atomically(
        record.tenant,
        async (tx) => {
          const keys = rows.keysOf(record.tenant)
          const held = await read(tx, record.tenant, record.name)
          if (held !== undefined && !isFree(held)) return 'taken'
          if ((await rows.get(keys.retired(record.lineage))) !== null) return 'retired'
          const outcome = await checkLimits(tx, keys, record, held, limits)
          if (outcome !== 'stored') return outcome
          tx.expectAbsent(keys.retired(record.lineage))
          tx.write('SET', keys.window(record.name), windowToStored(sealer, record))
          putContent(tx, record, content)
          reindex(tx, keys, held, record)
          return 'stored'
        },
        rows.contents,
      ),

    changeWindow(tenant, name, id, { tokenIds, ...fields }) {
      return rows.atomically(
        tenant,
        async (tx) => {
          const held = await read(tx, tenant, name)
          if (held?.id !== id) return false
          const next = { ...held, ...fields } as WindowRecord
          tx.write('SET', rows.keysOf(tenant).window(name), windowToStored(sealer, next))
          reindex(tx, rows.keysOf(tenant), held, next)
          if (tokenIds !== undefined) putIds(tx, next, tokenIds)
          return true
        },
        tokenIds === undefined ? rows.link : rows.contents,
      )
    },

    async getWindow(tenant, name) {
      const raw = await rows.get(rows.keysOf(tenant).window(name))
      return raw === null ? undefined : windowFromStored(sealer, raw)
    },

    async getWindowContent(tenant, name, id) {
      const keys = rows.keysOf(tenant)
      const stored = await rows.getAll([keys.window(name), keys.prompt(name), keys.tokenIds(name)], rows.contents)
      const [raw, prompt, ids] = stored
      if (prompt && ids && raw && windowFromStored(sealer, raw).id === id)
        return contentOf(tenant, name, id, prompt, ids)
      const [heldPrompt, heldIds] = await rows.getAll([keys.heldPrompt(id), keys.heldTokenIds(id)], rows.contents)
      return heldPrompt && heldIds ? contentOf(tenant, name, id, heldPrompt, heldIds) : undefined
    },

    async removeWindow(record, order, sequences) {
      const { tenant, name, id } = record
      await refreshSessionsOn(rows, record)
      return await rows.atomically(
        tenant,
        async (tx) => {
          const keys = rows.keysOf(tenant)
          const held = await read(tx, tenant, name)
          if (held?.id !== id) return undefined
          const written = await holdIfNeeded(rows, tx, held, order)
          tx.write('DEL', keys.window(name))
          tx.write('DEL', keys.prompt(name))
          tx.write('DEL', keys.tokenIds(name))
          reindex(tx, keys, held, undefined)
          writeOrder(rows, tx, written, sequences)
          return written
        },
        rows.contents,
      )
    },
  }
}

/** The counts of a tenant's windows. */
export async function counters(rows: RedisRows, keys: TenantKeys): Promise<readonly [number, number, number]> {
  const stored = (await rows.link.call('HMGET', keys.usage, 'windows', 'bytes', 'pinned')) as (Buffer | null)[]
  const [windows = 0, bytes = 0, pinned = 0] = stored.map((value) => Number(value ?? 0))
  return [windows, bytes, pinned]
}
