// Held windows in Redis: the content of deleted windows that sessions are still based on. `on:ID` is the set of the sessions on a window. Older
// versions of cwm do not maintain it, so it is compared with the sessions of the window's lineage before a delete relies on it.

import type { DeletionRecord, DependentSessions } from '../../base/deletion-records.ts'
import type { SessionRecord, WindowRecord } from '../../base/records.ts'
import { MAX_NAMED_SESSIONS, releasedOrder } from '../session-rows.ts'
import type { HeldWindowMethods } from '../store.ts'
import { jsonInBytes } from '../stored-values.ts'
import { putOrder } from './redis-deletions.ts'
import type { RedisRows } from './redis-rows.ts'
import type { Transaction } from './redis-transaction.ts'
import { windowFromStored } from './redis-values.ts'

const READ_AT_ONCE = 500
/** Of a larger set, any sessions are named: reading and sorting all would take long. */
const MAX_SORTED = 200

/** Adds the session to those of its base window, in `tx`. Returns false if that neither exists nor is held. */
export async function enterBase(rows: RedisRows, tx: Transaction, session: SessionRecord): Promise<boolean> {
  const { tenant, id, baseWindow = '', baseWindowId } = session
  if (baseWindowId === undefined) return true
  const keys = rows.keysOf(tenant)
  const live = await rows.get(keys.window(baseWindow))
  if (live !== null && idOf(live) === baseWindowId) tx.expect(keys.window(baseWindow), live)
  else {
    const held = await rows.get(keys.heldWindow(baseWindowId))
    if (held === null) return false
    tx.expect(keys.heldWindow(baseWindowId), held)
  }
  tx.write('SADD', keys.sessionsOn(baseWindowId), id)
  return true
}

/** Removes the session from those of its base window, in `tx`. The last one to leave a held window releases it. */
export async function leaveBase(rows: RedisRows, tx: Transaction, session: SessionRecord): Promise<void> {
  const { tenant, id, baseWindowId } = session
  if (baseWindowId === undefined) return
  const keys = rows.keysOf(tenant)
  const on = keys.sessionsOn(baseWindowId)
  tx.write('SREM', on, id)
  const held = await rows.get(keys.heldWindow(baseWindowId))
  // If the key is absent, a delete may be moving the window to the held ones right now.
  tx.expect(keys.heldWindow(baseWindowId), held)
  if (held === null) return
  const [count, own] = await Promise.all([rows.number('SCARD', on), rows.number('SISMEMBER', on, id)])
  tx.expectSize(on, count)
  if (count === own) await release(rows, tx, tenant, baseWindowId, held)
}

/** Adds the holding of a window that is removed in `tx`, if sessions are based on it. Returns the order to write. */
export async function holdIfNeeded(
  rows: RedisRows,
  tx: Transaction,
  window: WindowRecord,
  order: DeletionRecord,
): Promise<DeletionRecord> {
  const { tenant, name, id, bytes } = window
  const keys = rows.keysOf(tenant)
  const count = await rows.number('SCARD', keys.sessionsOn(id))
  tx.expectSize(keys.sessionsOn(id), count)
  const raw = count === 0 ? null : await rows.get(keys.window(name))
  if (raw === null || (await rows.number('EXISTS', keys.prompt(name), keys.tokenIds(name))) < 2) return order
  tx.write('SET', keys.heldWindow(id), raw)
  tx.write('HSET', keys.held, id, order.id)
  for (const [from, to] of [
    [keys.prompt(name), keys.heldPrompt(id)],
    [keys.tokenIds(name), keys.heldTokenIds(id)],
  ] as const) {
    tx.expectAbsent(to) // also declares the key
    tx.write('RENAME', from, to)
  }
  tx.write('HINCRBY', keys.usage, 'bytes', bytes)
  return { ...order, heldWindow: id }
}

/** Adds the end of a held window, and makes its order due. */
async function release(rows: RedisRows, tx: Transaction, tenant: string, id: string, held: Buffer): Promise<void> {
  const keys = rows.keysOf(tenant)
  tx.expect(keys.heldWindow(id), held)
  for (const key of [keys.heldWindow(id), keys.heldPrompt(id), keys.heldTokenIds(id), keys.sessionsOn(id)]) {
    tx.write('DEL', key)
  }
  tx.write('HINCRBY', keys.usage, 'bytes', -jsonInBytes<{ record: WindowRecord }>(held).record.bytes)
  const deletion = (await rows.link.call('HGET', keys.held, id)) as Buffer | null
  tx.write('HDEL', keys.held, id)
  const raw = deletion === null ? null : await rows.get(keys.deletion(String(deletion)))
  if (raw === null) return
  tx.expect(keys.deletion(String(deletion)), raw)
  putOrder(rows, tx, releasedOrder(jsonInBytes<DeletionRecord>(raw)))
}

/** Releases all held windows of a tenant. */
export async function releaseAll(rows: RedisRows, tenant: string): Promise<void> {
  const keys = rows.keysOf(tenant)
  for (const id of await rows.texts('HKEYS', keys.held)) {
    await rows.atomically(tenant, async (tx) => {
      const held = await rows.get(keys.heldWindow(id))
      if (held !== null) await release(rows, tx, tenant, id, held)
    })
  }
}

/**
 * Brings `on:ID` in line with the sessions, where an older version of cwm bound, rebound, or removed some. A window that was never thawed has
 * no sessions.
 */
export async function refreshSessionsOn(rows: RedisRows, window: WindowRecord): Promise<void> {
  const { tenant, id, lineage, thaws } = window
  const keys = rows.keysOf(tenant)
  const listed = new Set(await rows.texts('SMEMBERS', keys.sessionsOn(id)))
  const possible = thaws === undefined ? [] : await rows.texts('SMEMBERS', keys.sessionsOf(lineage))
  const all = [...new Set([...listed, ...possible])]
  for (let n = 0; n < all.length; n += READ_AT_ONCE) {
    const some = all.slice(n, n + READ_AT_ONCE)
    const stored = await rows.getAll(some.map((session) => keys.session(session)))
    for (const [at, session] of some.entries()) {
      const raw = stored[at] ?? null
      const stands = raw !== null && jsonInBytes<SessionRecord>(raw).baseWindowId === id
      if (stands !== listed.has(session)) await putMember(rows, tenant, id, session, stands, raw)
    }
  }
}

/** Does nothing if the session has changed meanwhile: the change updates the set itself, or a later refresh does. */
async function putMember(
  rows: RedisRows,
  tenant: string,
  id: string,
  session: string,
  stands: boolean,
  raw: Buffer | null,
): Promise<void> {
  const keys = rows.keysOf(tenant)
  await rows.atomically(tenant, async (tx) => {
    const current = await rows.get(keys.session(session))
    if (current === null ? raw !== null : raw === null || !current.equals(raw)) return
    tx.expect(keys.session(session), raw)
    tx.write(stands ? 'SADD' : 'SREM', keys.sessionsOn(id), session)
  })
}

function idOf(stored: Buffer): string {
  return jsonInBytes<{ record: WindowRecord }>(stored).record.id
}

/** The held-window methods of the store. */
export function heldWindowsIn(rows: RedisRows): HeldWindowMethods {
  async function sessionsOn({ tenant, id }: WindowRecord): Promise<DependentSessions> {
    const on = rows.keysOf(tenant).sessionsOn(id)
    const count = await rows.number('SCARD', on)
    const read = count <= MAX_SORTED ? (['SMEMBERS', on] as const) : (['SRANDMEMBER', on, MAX_NAMED_SESSIONS] as const)
    const [command, ...words] = read
    const sessions = count === 0 ? [] : await rows.texts(command, ...words)
    return { count: Math.max(count, sessions.length), sessions: sessions.sort().slice(0, MAX_NAMED_SESSIONS) }
  }

  return {
    async getHeldWindow(tenant, id) {
      const keys = rows.keysOf(tenant)
      const raw = await rows.get(keys.heldWindow(id))
      if (raw === null) return undefined
      const deletion = (await rows.link.call('HGET', keys.held, id)) as Buffer | null
      return deletion === null
        ? undefined // released between the two reads
        : { window: windowFromStored(rows.sealer, raw), deletion: String(deletion) }
    },

    sessionsOn,

    async recountSessionsOn(window) {
      await refreshSessionsOn(rows, window)
      return await sessionsOn(window)
    },

    releaseWindow: (tenant, id) =>
      rows.atomically(tenant, async (tx) => {
        const keys = rows.keysOf(tenant)
        const held = await rows.get(keys.heldWindow(id))
        if (held === null || (await rows.number('SCARD', keys.sessionsOn(id))) > 0) return
        tx.expectSize(keys.sessionsOn(id), 0)
        await release(rows, tx, tenant, id, held)
      }),
  }
}
