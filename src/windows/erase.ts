// Erases a tenant whole: every window and session with its KV, then everything else that is stored of it.

import type { DeletionRecord } from '../base/records.ts'
import type { Deletions } from './deletions.ts'
import type { WindowParts } from './parts.ts'

export interface Erasure {
  readonly windows: number
  readonly sessions: number
  readonly deletedChunks: number
  /** Null: of some nobody could tell. */
  readonly residualChunks: number | null
  readonly lineagesRetired: number
  /** Deletes that are tried again in the background; each can be asked for by its id. */
  readonly open: readonly string[]
  readonly ms: number
}

const PAGE = 100
/** Of those still open, how many are named. */
const MAX_NAMED = 1_000

/**
 * Ends all sessions, then deletes all windows, so that the last holder of each lineage retires it. What others make for the tenant meanwhile is
 * taken too, as long as it is made before the last look. Throws what the store throws; what was erased by then stays so.
 */
export async function eraseTenant(
  { store, now, audit }: Pick<WindowParts, 'store' | 'now' | 'audit'>,
  deletions: Deletions,
  tenant: string,
  actor: string,
): Promise<Erasure> {
  const start = now()
  const open: string[] = []
  const retired = new Set<string>()
  let sessions = 0
  let windows = 0
  let deletedChunks = 0
  let residualChunks: number | null = 0
  const count = (record: DeletionRecord | undefined) => {
    if (record === undefined) return
    if (record.kind === 'session') sessions++
    else windows++
    deletedChunks += record.receipt?.deletedChunks ?? 0
    const residue = record.receipt?.residualChunks ?? null
    residualChunks = residualChunks === null || residue === null ? null : residualChunks + residue
    if (record.receipt?.lineageRetired === true) retired.add(record.lineage)
    if (record.state === 'open' && open.length < MAX_NAMED) open.push(record.id)
  }
  for (;;) {
    const page = await store.listSessions(tenant, { limit: PAGE })
    for (const session of page.items) count(await deletions.endSession(session, 'erased', actor))
    const held = await store.listWindows(tenant, { limit: PAGE })
    for (const window of held.items) count(await deletions.deleteWindow(tenant, window.name, actor))
    if (page.items.length === 0 && held.items.length === 0) break
  }
  await store.forgetTenant(tenant)
  audit.record({
    tenant,
    actor,
    action: 'erase',
    target: 'tenant',
    name: tenant,
    outcome: 'ok',
    receipt: { windows, sessions },
  })
  return { sessions, windows, deletedChunks, residualChunks, lineagesRetired: retired.size, open, ms: now() - start }
}
