// How many tokens a tenant may have pinned, and for how long. Without a bound, pins would fill the cache and block it.

import { CwmError, toCwmError } from '../base/errors.ts'
import type { WindowRecord } from '../base/records.ts'
import type { KvLink } from '../kv/kv.ts'
import type { WindowParts } from './parts.ts'
import { pinWindow, unpinWindow } from './pins.ts'

type BudgetParts = Pick<WindowParts, 'store' | 'saltOf' | 'policyOf' | 'now' | 'log' | 'metrics' | 'inUse'>

const PAGE = 50

/**
 * Makes room for a pin of `tokens`. Over budget, it either releases the pins of the windows thawed longest ago or rejects the pin, as the
 * tenant's policy says. Throws `PIN_BUDGET_FULL`. Returns the names of the windows whose pins were released.
 * Two concurrent pins may both fit, so the budget may be exceeded by what is being pinned at that moment.
 */
export async function makeRoomForPin(
  parts: BudgetParts,
  link: KvLink,
  record: WindowRecord,
  tokens: number,
): Promise<readonly string[]> {
  const { store, policyOf } = parts
  const { maxPinnedTokens: budget, whenPinsFull } = policyOf(record.tenant)
  if (budget === undefined) return []
  const used = async () => (await store.usageOf(record.tenant)).pinnedTokens
  let over = (await used()) + tokens - budget
  if (over <= 0) return []
  if (tokens > budget || whenPinsFull === 'reject') throw pinBudgetFull(tokens, budget, await used())
  const released: string[] = []
  while (over > 0) {
    const others = await leastUsed(parts, record)
    if (others.length === 0) throw pinBudgetFull(tokens, budget, await used())
    for (const other of others) {
      if (over <= 0) break
      await unpinWindow(parts, link, other, 'released')
      parts.metrics.pinsReleased.inc({ why: 'budget' })
      released.push(other.name)
      over -= other.receipt?.tokens ?? 0
    }
    // Recounted instead of added up, because others pin and release meanwhile.
    over = (await used()) + tokens - budget
  }
  return released
}

/** The pinned windows thawed longest ago, without those in use: a page of them, or fewer if there are no more. */
async function leastUsed(
  { store, inUse }: BudgetParts,
  { tenant, id }: WindowRecord,
): Promise<readonly WindowRecord[]> {
  const query = { limit: PAGE, pin: 'pinned', sort: 'thawed', order: 'asc' } as const
  let cursor: string | undefined
  do {
    const page = await store.listWindows(tenant, { ...query, ...(cursor === undefined ? {} : { cursor }) })
    const free: WindowRecord[] = []
    for (const other of page.items) if (other.id !== id && !(await inUse.isInUse(other.id))) free.push(other)
    if (free.length > 0) return free
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return []
}

/** When a pin made now expires; undefined: never. */
export function pinExpiry({ policyOf, now }: BudgetParts, tenant: string): number | undefined {
  const { pinTtlMs } = policyOf(tenant)
  return pinTtlMs === undefined ? undefined : now() + pinTtlMs
}

/** Releases the pin of a window if it has expired and the window is not in use; returns whether it did. */
export async function releaseExpiredPin(parts: BudgetParts, link: KvLink, record: WindowRecord): Promise<boolean> {
  if (record.pinUntil === undefined || record.pinUntil > parts.now()) return false
  if (await parts.inUse.isInUse(record.id)) return false
  try {
    await unpinWindow(parts, link, record, 'released')
  } catch (thrown) {
    parts.log.warn({ window: record.name, err: toCwmError(thrown) }, 'the pin is not released yet')
    throw thrown
  }
  parts.metrics.pinsReleased.inc({ why: 'expired' })
  return true
}

/** Pins or unpins a window on request. Throws what the KV layer throws, and `NOT_SUPPORTED` without pins. */
export async function changePin(parts: WindowParts, record: WindowRecord, pinned: boolean): Promise<void> {
  const { store, kv, fleet } = parts
  if (record.state !== 'frozen') {
    throw new CwmError('WINDOW_NOT_READY', `window ${record.name} is not frozen, so it cannot be pinned or unpinned`, {
      param: 'pinned',
    })
  }
  const link = await kv.open()
  if (link === undefined || !link.capabilities.pin) {
    throw new CwmError('NOT_SUPPORTED', 'the KV layer cannot pin now; LMCache needs a coordinator for pins', {
      param: 'pinned',
    })
  }
  if (!pinned) {
    await unpinWindow(parts, link, record, 'released')
    parts.metrics.pinsReleased.inc({ why: 'asked' })
    return
  }
  if (record.pin === 'pinned') return
  const engine = await fleet.pick(record)
  const engineName = record.keys?.engineName ?? (await engine.models.find(record.model, undefined))?.engineName
  const content = await store.getWindowContent(record.tenant, record.name, record.id)
  const tokens = content?.tokenIds.length ?? 0
  const handle = engineName === undefined ? undefined : link.plan(engineName, tokens)
  if (handle === undefined || content === undefined || link.extentOf(handle, tokens).chunks === 0) {
    throw new CwmError('NOT_SUPPORTED', `window ${record.name} has no whole chunk in the KV layer to pin`, {
      param: 'pinned',
    })
  }
  await makeRoomForPin(parts, link, record, tokens)
  await pinWindow(parts, link, record, content.tokenIds, handle)
  const pinUntil = pinExpiry(parts, record.tenant)
  await store.changeWindow(record.tenant, record.name, record.id, { pinUntil })
}

function pinBudgetFull(tokens: number, budget: number, used: number): CwmError {
  return new CwmError(
    'PIN_BUDGET_FULL',
    `${tokens} tokens exceed this tenant's pin budget (${used} of ${budget} tokens are pinned, setting max_pinned_tokens): delete windows, or unpin some with {"pinned": false}`,
    { param: 'name' },
  )
}
