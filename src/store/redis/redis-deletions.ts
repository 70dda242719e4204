// Deletes in Redis: the orders and their results. An order is written in the transaction that removes the record itself.

import type { DeletionRecord } from '../../base/deletion-records.ts'
import { checkLimit, positionIn, toPage } from '../page.ts'
import type { Place } from '../seal.ts'
import type { DeletionMethods } from '../store.ts'
import { jsonInBytes } from '../stored-values.ts'
import type { RedisRows } from './redis-rows.ts'
import type { Transaction } from './redis-transaction.ts'
import { bytesToSequences, fromStored, sequencesToBytes, toJson, toStored } from './redis-values.ts'

const dropsAtOnce = 500
const TENANTS_AT_ONCE = 32

/** The place under which a delete's sequences are sealed. */
export const sequencesPlace = (tenant: string, id: string): Place => ['deletion sequences', tenant, id]

/** Adds an order to `tx`, which removes the record itself. */
export function writeOrder(
  rows: RedisRows,
  tx: Transaction,
  order: DeletionRecord,
  sequences: readonly Uint32Array[],
): void {
  const keys = rows.keysOf(order.tenant)
  putOrder(rows, tx, order)
  tx.write('ZADD', keys.deletions, order.at, order.id)
  const bytes = toStored(rows.sealer, sequencesToBytes(sequences), sequencesPlace(order.tenant, order.id))
  tx.write('SET', keys.sequences(order.id), bytes)
}

/** Adds an order's record and its places in the lists of open and finished ones. */
export function putOrder(rows: RedisRows, tx: Transaction, deletion: DeletionRecord): void {
  const keys = rows.keysOf(deletion.tenant)
  const [open, other] = isForNewerVersions(deletion)
    ? [keys.newerDeletions, keys.openDeletions]
    : [keys.openDeletions, keys.newerDeletions]
  tx.write('SET', keys.deletion(deletion.id), toJson(deletion))
  tx.write('ZREM', other, deletion.id)
  if (deletion.state === 'open') {
    tx.write('ZADD', open, deletion.nextTryAt, deletion.id)
    tx.write('ZREM', keys.doneDeletions, deletion.id)
  } else {
    tx.write('ZREM', open, deletion.id)
    tx.write('ZADD', keys.doneDeletions, deletion.at, deletion.id)
    tx.write('DEL', keys.sequences(deletion.id))
  }
}

/** Orders that an older version of cwm would execute as if they were another's, and so finish too early: of held windows, and of requests. */
function isForNewerVersions({ kind, heldWindow }: DeletionRecord): boolean {
  return heldWindow !== undefined || kind === 'requests'
}

/** The deletion methods of the store. */
export function deletionsIn(rows: RedisRows): DeletionMethods {
  async function readAll(tenant: string, ids: readonly string[]): Promise<DeletionRecord[]> {
    const keys = rows.keysOf(tenant)
    const stored = await rows.getAll(ids.map((id) => keys.deletion(id)))
    return stored.flatMap((raw) => (raw === null ? [] : [jsonInBytes<DeletionRecord>(raw)]))
  }

  /** Up to `atMost` open deletes of a tenant, those first that are due longest. */
  async function dueOf(tenant: string, now: number, atMost: number): Promise<DeletionRecord[]> {
    const { openDeletions, newerDeletions } = rows.keysOf(tenant)
    const due = (key: string) => rows.texts('ZRANGE', key, '-inf', now, 'BYSCORE', 'LIMIT', 0, atMost)
    const open = await readAll(tenant, (await Promise.all([due(openDeletions), due(newerDeletions)])).flat())
    return open.sort((a, b) => a.nextTryAt - b.nextTryAt || (a.id < b.id ? -1 : 1)).slice(0, atMost)
  }

  return {
    addDeletion(order, sequences) {
      const write = async (tx: Transaction) => writeOrder(rows, tx, order, sequences)
      // Requests without a session wait for their order, which has no sequences.
      return rows.atomically(order.tenant, write, sequences.length === 0 ? rows.link : rows.contents)
    },

    getDeletion: async (tenant, id) => (await readAll(tenant, [id]))[0],

    async getDeletionSequences(tenant, id) {
      const stored = (await rows.contents.call('GET', rows.keysOf(tenant).sequences(id))) as Buffer | null
      return stored === null ? [] : bytesToSequences(fromStored(rows.sealer, stored, sequencesPlace(tenant, id)))
    },

    async listDeletions(tenant, page) {
      checkLimit(page.limit)
      const position = positionIn('deletions', page, 'number', 'string')
      const after = position && { score: position[0], name: position[1] }
      const entries = await rows.page(rows.keysOf(tenant).deletions, { order: 'desc', limit: page.limit, after })
      const { items, nextCursor } = toPage(
        'deletions',
        entries,
        page.limit,
        (entry) => entry.name,
        (entry) => [entry.score, entry.name],
      )
      const deletions = await readAll(tenant, items)
      return nextCursor === undefined ? { items: deletions } : { items: deletions, nextCursor }
    },

    async listOpenDeletions(now, { after, perTenant, enough }) {
      const tenants = (await rows.tenants()).filter((tenant) => tenant > after).sort()
      const found: DeletionRecord[] = []
      for (let n = 0; n < tenants.length; n += TENANTS_AT_ONCE) {
        const some = tenants.slice(n, n + TENANTS_AT_ONCE)
        for (const due of await Promise.all(some.map((tenant) => dueOf(tenant, now, perTenant)))) {
          if (found.length >= enough) return found
          found.push(...due)
        }
      }
      return found
    },

    changeDeletion: (tenant, id, change) =>
      rows.atomically(tenant, async (tx) => {
        const raw = await rows.get(rows.keysOf(tenant).deletion(id))
        if (raw === null) return false
        tx.expect(rows.keysOf(tenant).deletion(id), raw)
        putOrder(rows, tx, { ...jsonInBytes<DeletionRecord>(raw), ...change })
        return true
      }),

    async dropDeletions(before, atMost) {
      let dropped = 0
      for (const tenant of await rows.tenants()) {
        if (dropped === atMost) break
        dropped += await dropDone(rows, tenant, `(${before}`, atMost - dropped)
        await rows.unlistIfEmpty(tenant)
      }
      return dropped
    },
  }
}

/** Drops all finished deletes of a tenant. */
export async function dropDoneDeletions(rows: RedisRows, tenant: string): Promise<void> {
  while ((await dropDone(rows, tenant, '+inf', dropsAtOnce)) > 0);
}

function dropDone(rows: RedisRows, tenant: string, upTo: string, atMost: number): Promise<number> {
  const keys = rows.keysOf(tenant)
  return rows.atomically(tenant, async (tx) => {
    const range = ['-inf', upTo, 'BYSCORE', 'LIMIT', 0, atMost]
    const ids = await rows.texts('ZRANGE', keys.doneDeletions, ...range)
    const stored = await rows.getAll(ids.map((id) => keys.deletion(id)))
    for (const [n, id] of ids.entries()) {
      tx.expect(keys.deletion(id), stored[n])
      tx.write('DEL', keys.deletion(id))
      tx.write('ZREM', keys.deletions, id)
      tx.write('ZREM', keys.doneDeletions, id)
    }
    return ids.length
  })
}
