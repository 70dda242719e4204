// Lineages in Redis: who shares one, who holds one, and which are retired. Every write under a lineage requires in its own transaction that
// it is not retired (sessions, windows), so there is no gap.

import { retiredForMs } from '../session-rows.ts'
import type { Store } from '../store.ts'
import type { RedisChanges } from './redis-changes.ts'
import type { RedisRows } from './redis-rows.ts'
import { readWindows } from './redis-window-list.ts'

/** The lineage methods of the store. */
export function lineagesIn(
  rows: RedisRows,
  changes: RedisChanges,
): Pick<Store, 'claimLineage' | 'holdersOf' | 'retireLineage' | 'retireLineages' | 'isRetired'> {
  async function retire(tenant: string, lineage: string): Promise<boolean> {
    const keys = rows.keysOf(tenant)
    const retired = await rows.atomically(tenant, async (tx) => {
      const holders = [keys.sessionsOf(lineage), keys.windowsOf(lineage), keys.isShared(lineage)]
      if ((await rows.number('EXISTS', ...holders)) > 0) return false
      for (const key of holders) tx.expectAbsent(key)
      tx.write('SET', keys.retired(lineage), '1', 'PX', retiredForMs)
      return true
    })
    if (retired) await changes.tellAndWait({ kind: 'lineage', tenant, lineage })
    return retired
  }

  return {
    claimLineage: (tenant, key, fresh) =>
      rows.atomically(tenant, async (tx) => {
        const keys = rows.keysOf(tenant)
        const stored = await rows.get(keys.sharedLineage(key))
        if (stored !== null) return String(stored)
        tx.expectAbsent(keys.sharedLineage(key))
        tx.write('SET', keys.sharedLineage(key), fresh)
        tx.write('SET', keys.isShared(fresh), '1')
        tx.write('SADD', keys.shared, key)
        return fresh
      }),

    async holdersOf(tenant, lineage) {
      const keys = rows.keysOf(tenant)
      const sessions = await rows.number('SCARD', keys.sessionsOf(lineage))
      const windows = await readWindows(rows, tenant, await rows.texts('SMEMBERS', keys.windowsOf(lineage)))
      windows.sort((a, b) => a.createdAt - b.createdAt || (a.name < b.name ? -1 : 1))
      return { sessions: Math.min(sessions, 1000), windows }
    },

    retireLineage: retire,

    async retireLineages(tenant, lineages) {
      const retired = await Promise.all(lineages.map((lineage) => retire(tenant, lineage)))
      return lineages.filter((_, n) => retired[n])
    },

    isRetired: async (tenant, lineage) => (await rows.get(rows.keysOf(tenant).retired(lineage))) !== null,
  }
}

/** Removes the shared lineages of a tenant whose sessions and windows are gone. */
export async function dropShared(rows: RedisRows, tenant: string): Promise<void> {
  const keys = rows.keysOf(tenant)
  await rows.atomically(tenant, async (tx) => {
    for (const key of await rows.texts('SMEMBERS', keys.shared)) {
      const lineage = await rows.get(keys.sharedLineage(key))
      tx.expect(keys.sharedLineage(key), lineage)
      tx.write('DEL', keys.sharedLineage(key))
      if (lineage !== null) tx.write('DEL', keys.isShared(String(lineage)))
      tx.write('SREM', keys.shared, key)
    }
  })
}
