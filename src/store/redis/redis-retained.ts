// Retained turns in Redis: each is stored with its tenant; their total size, and which are the oldest, is in another slot. A crash
// between the two writes leaves a turn that is not counted; it is removed with its session.

import type { Place } from '../seal.ts'
import type { Store } from '../store.ts'
import type { RetainedPrompt } from '../store-values.ts'
import { jsonInBytes } from '../stored-values.ts'
import { memberOf, partsOf, type TenantKeys } from './redis-keys.ts'
import type { RedisRows } from './redis-rows.ts'
import type { Transaction } from './redis-transaction.ts'
import { weighTurnScript } from './redis-turn-shares.ts'
import { fromStored, toJson, toStored } from './redis-values.ts'

/** The place under which a retained turn is sealed. */
export const turnPlace = (tenant: string, sessionId: string): Place => ['retained turn', tenant, sessionId]

/** Adds the removal of a session's retained turn to `tx`. Call {@link forgetTurn} afterwards. */
export function dropTurn(tx: Transaction, keys: TenantKeys, sessionId: string): void {
  tx.write('DEL', keys.turn(sessionId))
  tx.write('SREM', keys.turns, sessionId)
}

/** Subtracts a dropped turn from the total size. */
export async function forgetTurn(rows: RedisRows, tenant: string, sessionId: string): Promise<void> {
  await weigh(rows, tenant, sessionId, 0, Number.MAX_SAFE_INTEGER)
}

async function weigh(rows: RedisRows, tenant: string, sessionId: string, bytes: number, mostBytes: number) {
  const { turnOrder, turnBytes, turnTotals, turnQueue, turnShares, turnsUsed } = rows.shared
  const keys = [turnOrder, turnBytes, turnTotals, turnQueue, turnShares, turnsUsed]
  const args = [memberOf(tenant, sessionId), bytes, mostBytes, Date.now()]
  return (await rows.link.run(weighTurnScript, keys, args)) as Buffer[]
}

/** The methods of the store for retained turns. */
export function retainedIn(rows: RedisRows): Pick<Store, 'putRetained' | 'getRetained'> {
  function drop(tenant: string, sessionId: string): Promise<void> {
    return rows.atomically(tenant, async (tx) => dropTurn(tx, rows.keysOf(tenant), sessionId))
  }

  return {
    async putRetained(tenant, sessionId, turn, maxBytes) {
      const keys = rows.keysOf(tenant)
      const plain = toJson(turn)
      const kept = await rows.atomically(
        tenant,
        async (tx) => {
          const session = await rows.get(keys.session(sessionId))
          if (session === null) return false // nothing is kept of a session that has been ended meanwhile
          tx.expect(keys.session(sessionId), session)
          tx.write('SET', keys.turn(sessionId), toStored(rows.sealer, plain, turnPlace(tenant, sessionId)))
          tx.write('SADD', keys.turns, sessionId)
          return true
        },
        rows.contents,
      )
      if (!kept) return
      for (const member of await weigh(rows, tenant, sessionId, plain.length, maxBytes)) {
        await drop(...partsOf(String(member)))
      }
      // The session ended between the two writes, so its turn is gone and must not be counted.
      if ((await rows.number('EXISTS', keys.turn(sessionId))) === 0) await forgetTurn(rows, tenant, sessionId)
    },

    async getRetained(tenant, sessionId) {
      const stored = (await rows.contents.call('GET', rows.keysOf(tenant).turn(sessionId))) as Buffer | null
      if (stored === null) return undefined
      return jsonInBytes<RetainedPrompt>(fromStored(rows.sealer, stored, turnPlace(tenant, sessionId)))
    },
  }
}
