// The reconciler compares the store with the KV layer, at start and periodically. It finishes or undoes operations that a crash interrupted,
// and reports its repairs. So no pin outlives its window, and no window stays `freezing` forever.

import { toCwmError } from '../base/errors.ts'
import type { KvHandle, WindowRecord } from '../base/records.ts'
import type { KvLink } from '../kv/kv.ts'
import { freezeReserved } from './freeze.ts'
import { leaseKeys, withLease } from './lease.ts'
import { freezeEvent } from './operation-audit.ts'
import { turnPromptOf, type WindowParts } from './parts.ts'
import { perTenant } from './per-tenant.ts'
import { releaseExpiredPin } from './pin-budget.ts'
import { isPinHeld, pinWindow, unpinWindow } from './pins.ts'
import type { Windows } from './windows.ts'

/** `finished`: completed an interrupted freeze. `undone`: the freeze failed. `unpinned`: released the pin of a failed window.
 * `repinned`: restored a lost pin. `released`: released an expired pin. */
export type RepairKind = 'finished' | 'undone' | 'unpinned' | 'repinned' | 'released'

export interface Repairs {
  readonly counts: Readonly<Record<RepairKind, number>>
  /** Windows that could not be checked; a later run retries them. */
  readonly left: number
}

const PAGE = 200
const KEEP_ON_OUTAGE_MS = 24 * 3_600_000
/** Windows checked per run; the next run continues after them. */
const PER_RUN = 1_000

export class Reconciler {
  readonly #parts: WindowParts
  readonly #windows: Windows
  readonly #apiKey: () => string | undefined
  #cursor: string | undefined

  /** `apiKey` is the upstream's own: an interrupted freeze is finished without its client. */
  constructor(parts: WindowParts, windows: Windows, apiKey: () => string | undefined) {
    this.#parts = parts
    this.#windows = windows
    this.#apiKey = apiKey
  }

  /** One run over at most 1,000 windows. Throws only `STORE_UNAVAILABLE`. */
  async run(signal: AbortSignal): Promise<Repairs> {
    const { store, metrics } = this.#parts
    const counts: Record<RepairKind, number> = { finished: 0, undone: 0, unpinned: 0, repinned: 0, released: 0 }
    let left = 0
    /** Tenants whose slots are all taken. Their other windows are left to the next run, which waits for a slot again. */
    const busy = new Set<string>()
    for (let seen = 0; seen < PER_RUN && !signal.aborted; ) {
      const cursor = this.#cursor
      const page = await store.listForRepair(['freezing'], { limit: PAGE, ...(cursor === undefined ? {} : { cursor }) })
      seen += page.items.length
      await perTenant(page.items, async (record) => {
        if (signal.aborted) return
        const outcome = busy.has(record.tenant) ? 'left' : await this.#inspectInSlot(record, signal, busy)
        if (outcome === 'left') left++
        else if (outcome !== undefined) counts[outcome]++
      })
      this.#cursor = page.nextCursor
      if (page.nextCursor === undefined) break
    }
    metrics.repairsLeft.set(left)
    return { counts, left }
  }

  /** `left`: it could not be inspected. Adds its tenant to `busy` if no slot was free. */
  async #inspectInSlot(
    record: WindowRecord,
    signal: AbortSignal,
    busy: Set<string>,
  ): Promise<RepairKind | 'left' | undefined> {
    const { store, log, metrics, freezeSlots } = this.#parts
    try {
      // The page predates the repairs before this one. A window that its owner works on, or has finished since, is left alone.
      if (this.#windows.isBusy(record.id)) return undefined
      const inspect = () => withLease(store, leaseKeys.window(record.id), () => this.#inspect(record, signal))
      const kind = await freezeSlots.run(record.tenant, inspect, { signal })
      if (kind === undefined) return undefined
      metrics.repairs.inc({ kind })
      log.warn({ window: record.name, kind }, 'window repaired')
      return kind
    } catch (thrown) {
      const error = toCwmError(thrown)
      if (error.code === 'STORE_UNAVAILABLE') throw error
      if (error.code === 'OVERLOADED') busy.add(record.tenant)
      if (!signal.aborted) log.warn({ window: record.name, err: error }, 'window not repaired; it will be retried')
      return 'left'
    }
  }

  async #inspect({ tenant, name, id }: WindowRecord, signal: AbortSignal): Promise<RepairKind | undefined> {
    const current = await this.#parts.store.getWindow(tenant, name)
    if (current === undefined || current.id !== id || this.#windows.isBusy(id)) return undefined
    return await this.#repair(current, signal)
  }

  async #repair(record: WindowRecord, signal: AbortSignal): Promise<RepairKind | undefined> {
    const link = await this.#parts.kv.open()
    switch (record.state) {
      case 'freezing':
        return await this.#finish(record, link, signal).finally(() =>
          this.#windows.notifyWaiters(record.tenant, record.name),
        )
      case 'failed':
        if (link === undefined || record.pin === 'none') return undefined
        await unpinWindow(this.#parts, link, record)
        return 'unpinned'
      case 'frozen':
        return link === undefined ? undefined : await this.#keepPinned(record, link)
    }
  }

  /** The crash may have interrupted any step, so the pin is settled first, then all steps run again. */
  async #finish(record: WindowRecord, link: KvLink | undefined, signal: AbortSignal): Promise<RepairKind> {
    const { store } = this.#parts
    const content = await store.getWindowContent(record.tenant, record.name, record.id)
    if (record.pin !== 'none' && link !== undefined) await unpinWindow(this.#parts, link, record)
    if (content === undefined) {
      await store.changeWindow(record.tenant, record.name, record.id, {
        state: 'failed',
        reason: 'its content is missing',
      })
      this.#emitFrozen({ ...record, state: 'failed' })
      return 'undone'
    }
    const turn = turnPromptOf(record, content.prompt)
    // After a machine restart cwm is up before its engine, so for a day an engine outage does not fail the freeze.
    const keepOnOutage = this.#parts.now() - record.createdAt < KEEP_ON_OUTAGE_MS
    const options = { apiKey: this.#apiKey(), signal, keepOnOutage }
    const done = await freezeReserved(this.#parts, { ...record, pin: 'none' }, turn, options)
    this.#emitFrozen(done)
    return done.state === 'frozen' ? 'finished' : 'undone'
  }

  #emitFrozen(record: WindowRecord): void {
    this.#parts.events.emit({ tenant: record.tenant, ...freezeEvent(record) })
  }

  async #keepPinned(record: WindowRecord, link: KvLink): Promise<RepairKind | undefined> {
    const { tenant, name, id } = record
    if (!link.capabilities.pin) return undefined
    if (await releaseExpiredPin(this.#parts, link, record)) return 'released'
    const content = await this.#parts.store.getWindowContent(tenant, name, id)
    if (content === undefined) return undefined
    const tokens = content.tokenIds.length
    const handle = record.keys ?? (await this.#plan(record, link, tokens))
    if (handle === undefined) return undefined
    if (link.extentOf(handle, tokens).chunks === 0) {
      await this.#parts.store.changeWindow(tenant, name, id, { pin: 'none' })
      return undefined
    }
    if (await isPinHeld(this.#parts, link, record, content.tokenIds)) {
      if (record.pin !== 'pinned') await this.#parts.store.changeWindow(tenant, name, id, { pin: 'pinned' })
      return undefined
    }
    // A thaw may be moving the pin to the current epoch, or may have moved it since the record was read. A second pin would never be released.
    const { store, inUse } = this.#parts
    if (await inUse.isInUse(id)) return undefined
    const current = await store.getWindow(tenant, name)
    if (inUse.isUsedHere(id) || current?.pin !== record.pin || current.kvEpoch !== record.kvEpoch) return undefined
    await pinWindow(this.#parts, link, record, content.tokenIds, handle)
    return 'repinned'
  }

  /** The handle, when the KV layer did not answer during the freeze and none was stored. */
  async #plan(record: WindowRecord, link: KvLink, tokens: number): Promise<KvHandle | undefined> {
    const engine = await this.#parts.fleet.pick(record)
    const model = await engine.models.find(record.model, this.#apiKey())
    return model === undefined ? undefined : link.plan(model.engineName, tokens)
  }
}
