// Freeze: verify, then commit. Turns a reserved record into a verified window, or into a failed one that holds no pin.

import { CwmError, toCwmError } from '../base/errors.ts'
import type { FreezeReceipt, KvHandle, WindowRecord } from '../base/records.ts'
import { rulesOf } from '../dialects/index.ts'
import type { CallOptions } from '../engines/engine.ts'
import {
  type KvExtent,
  type KvLink,
  type KvSequence,
  type KvWait,
  unknownTiers,
  type VerifiedPlacement,
} from '../kv/kv.ts'
import { openIfReachable } from '../kv/open.ts'
import { isAutomatic, isBeforeCut } from './auto-names.ts'
import { bytesOf, checksumOf } from './checksum.ts'
import { type FrozenIds, findFrozenIds, fitToLimit } from './frozen-ids.ts'
import type { TurnPrompt, WindowParts } from './parts.ts'
import { makeRoomForPin, pinExpiry } from './pin-budget.ts'
import { pinWindow, unpinWindow } from './pins.ts'
import { quotaExcess } from './quota-excess.ts'
import { emptyRemarks, type Remarks } from './remarks.ts'
import { StepTimer } from './step-timer.ts'

/**
 * Verifies and commits a window whose name is reserved. Returns its final record: `frozen` with a receipt, or `failed` with a reason.
 * Engine and KV layer failures never throw. Throws what the store throws, and throws without deciding when `options.signal` aborts.
 */
export async function freezeReserved(
  parts: WindowParts,
  record: WindowRecord,
  turn: TurnPrompt,
  options: FreezeOptions,
): Promise<WindowRecord> {
  const { store, now, log, metrics } = parts
  const { tenant, name, id } = record
  const steps = new StepTimer(now)
  try {
    const { receipt, tokenIds, handle } = await prove(parts, record, turn, steps, options)
    if (receipt.ms.warm !== undefined) {
      const { cachedTokens, computedTokens } = receipt
      const owner = { tenant, key: options.actor ?? 'cwm', model: record.model }
      parts.ledger.warmed(owner, { cachedTokens, computedTokens, restores: false })
    }
    const checksum = checksumOf({ prompt: turn.prompt, tokenIds })
    const bytes = bytesOf({ prompt: turn.prompt, tokenIds })
    const change = { state: 'frozen', frozenAt: now(), checksum, receipt, tokenIds, bytes } as const
    await store.changeWindow(tenant, name, id, handle === undefined ? change : { ...change, keys: handle })
    metrics.freezes.inc({ outcome: receipt.durability })
    metrics.freezeSeconds.observe((steps.ms.total ?? 0) / 1000)
    log.info(
      { window: name, durability: receipt.durability, tokens: receipt.tokens, ms: receipt.ms.total },
      'window frozen',
    )
  } catch (thrown) {
    const error = toCwmError(thrown)
    // Aborted because cwm is stopping: the record still says `freezing`, so the next start resumes it.
    if (error.code === 'STORE_UNAVAILABLE' || options.signal?.aborted === true) throw error
    if (options.keepOnOutage === true && outages.includes(error.code)) throw error
    log.warn({ window: name, err: error }, 'freeze failed')
    if (isBeforeCut(record)) await commitUnproven(parts, record, turn, error, steps)
    else {
      metrics.freezes.inc({ outcome: 'failed' })
      await undo(parts, record, error)
    }
  }
  return (await store.getWindow(tenant, name)) ?? record
}

/**
 * A window frozen before a cut is the only copy of the full conversation. If verification fails it is kept anyway, with its pin and ids as
 * far as they exist.
 */
async function commitUnproven(
  { store, metrics, now }: WindowParts,
  record: WindowRecord,
  { prompt }: TurnPrompt,
  error: CwmError,
  { ms }: StepTimer,
): Promise<void> {
  const { tenant, name, id } = record
  const tokenIds = (await store.getWindowContent(tenant, name, id))?.tokenIds ?? new Uint32Array()
  const receipt: FreezeReceipt = {
    durability: tokenIds.length === 0 ? 'text' : 'unverified',
    tokens: tokenIds.length,
    chunkSize: null,
    chunks: 0,
    restorableTokens: 0,
    tiers: unknownTiers(0),
    pinned: false,
    cachedTokens: null,
    computedTokens: null,
    ms: { ...ms },
    warnings: [`its KV was not verified: ${reasonOf(error)}`],
  }
  const content = { prompt, tokenIds }
  const change = {
    state: 'frozen',
    frozenAt: now(),
    checksum: checksumOf(content),
    receipt,
    bytes: bytesOf(content),
  } as const
  await store.changeWindow(tenant, name, id, change)
  metrics.freezes.inc({ outcome: receipt.durability })
}

function reasonOf(error: CwmError): string {
  return error.code === 'INTERNAL' ? 'internal error; see the cwm log' : error.clientMessage
}

async function undo(parts: WindowParts, record: WindowRecord, error: CwmError): Promise<void> {
  const { store, kv, log } = parts
  const { tenant, name, id } = record
  const reason = reasonOf(error)
  await store.changeWindow(tenant, name, id, { state: 'failed', reason })
  const current = await store.getWindow(tenant, name)
  if (current === undefined || current.id !== id || current.pin === 'none') return
  try {
    const link = await kv.open()
    if (link !== undefined) await unpinWindow(parts, link, current)
  } catch (thrown) {
    log.warn(
      { window: name, err: toCwmError(thrown) },
      'the pin of a failed freeze was not released; the reconciler will retry',
    )
  }
}

/** A background freeze may find the engine still starting. */
export interface FreezeOptions extends CallOptions {
  /** If the engine does not answer, leave the window `freezing` for a retry instead of failing it. */
  readonly keepOnOutage?: boolean
  /** As in the audit log. Absent: cwm's own. */
  readonly actor?: string
}

/** Errors that end a freeze: the window could not be relied on, or its tenant has no room for it. */
const fatal: readonly string[] = ['STORE_UNAVAILABLE', 'INTERNAL', 'WINDOW_NOT_FOUND', 'PIN_BUDGET_FULL']

const outages: readonly string[] = [
  'UPSTREAM_REFUSED',
  'UPSTREAM_TIMEOUT',
  'UPSTREAM_BROKEN',
  'UPSTREAM_OPEN',
  'SHUTTING_DOWN',
]

interface Proof {
  readonly receipt: FreezeReceipt
  readonly tokenIds: Uint32Array
  readonly handle: KvHandle | undefined
}

async function prove(
  parts: WindowParts,
  record: WindowRecord,
  turn: TurnPrompt,
  steps: StepTimer,
  options: CallOptions,
): Promise<Proof> {
  const { verifyDeadlineMs, saltOf } = parts
  const engine = await parts.fleet.pick(record)
  const remarks = emptyRemarks()
  const { warnings, notes } = remarks
  const found = await steps.time('ids', () => findFrozenIds(engine, rulesOf(record.dialect), turn, options))
  const { ids, warning, note } = found
  if (warning !== undefined) warnings.push(warning)
  if (note !== undefined) notes.push(note)
  const model = await engine.models.find(record.model, options.apiKey)
  if (record.origin === 'content' || record.origin === 'import') checkServable(found, model?.limit)
  const tokenIds = fitToLimit(ids, model?.limit)
  if (tokenIds.length < ids.length) notes.push('the context is full: its last tokens are not included')
  const whole = found.whole === true && tokenIds.length === ids.length
  const planned = await planKv(parts, model?.engineName, tokenIds, saltOf(record), remarks)
  const plan = await withinQuota(parts, record, planned, tokenIds.length, remarks, options)
  const { link, sequence, extent } = plan
  const step: PinStep = { parts, record, tokenIds, plan, steps, warnings }

  const { textOnly } = plan
  const pinned = !textOnly && parts.kv.holds === 'before-warm' && (await pinOrPostpone(step))
  await parts.quotas.ensure(saltOf(record), parts.policyOf(record.tenant).kvQuotaGb)
  const warm =
    tokenIds.length === 0 || textOnly
      ? undefined
      : await steps.time('warm', () => engine.warm({ model: record.model, tokenIds, salt: saltOf(record) }, options))
  const pinnedNow = pinned || (!textOnly && parts.kv.holds === 'after-warm' && (await pinOrPostpone(step)))
  const cachedTokens = warm?.cachedTokens ?? null
  const computedTokens = cachedTokens === null ? null : tokenIds.length - cachedTokens
  parts.costs.sawPrefill(engine.id, record.model, { computedTokens, cachedTokens, ms: steps.ms.warm ?? null })

  const wait = { deadlineMs: verifyDeadlineMs, server: engine.kvServer, signal: options.signal }
  const placement =
    link === undefined || sequence === undefined
      ? undefined
      : await steps.time('verify', () => tryVerify(parts, link, sequence, remarks, wait))
  if (extent?.chunks === 0 && tokenIds.length > 0) {
    notes.push(`under one chunk of ${extent.chunkSize} tokens: the KV layer stores nothing`)
  }
  const chunks = extent?.chunks ?? 0
  if (placement !== undefined && model !== undefined && extent !== undefined)
    parts.costs.sawChunks(model.engineName, extent.chunkSize, placement)
  const receipt: FreezeReceipt = {
    durability: sequence === undefined && !plan.isHidden ? 'text' : (placement?.durability ?? 'unverified'),
    tokens: tokenIds.length,
    ...(whole ? { whole } : {}),
    chunkSize: extent?.chunkSize ?? null,
    chunks,
    restorableTokens: placement?.restorableTokens ?? 0,
    tiers: placement?.tiers ?? unknownTiers(chunks),
    chunkBytes: placement?.chunkBytes ?? null,
    l2Shared: placement?.l2Shared ?? null,
    pinned: pinnedNow,
    cachedTokens,
    computedTokens,
    ms: { ...steps.ms },
    warnings,
    notes,
  }
  return { receipt, tokenIds, handle: plan.handle }
}

/** No turn has shown yet that the engine accepts this prompt, and a window that cannot be continued is useless. */
function checkServable({ ids, refusal }: FrozenIds, limit: number | undefined): void {
  if (refusal !== undefined) {
    throw new CwmError('UPSTREAM_REJECTED', 'the engine rejected the prompt', { detail: refusal })
  }
  if (limit !== undefined && ids.length >= limit) {
    throw new CwmError('UPSTREAM_REJECTED', `the prompt has ${ids.length} tokens, and the model's limit is ${limit}`)
  }
}

/** What the KV layer can do for a window. */
interface KvPlan {
  readonly link?: KvLink
  readonly handle?: KvHandle | undefined
  readonly extent?: KvExtent
  /** Absent if nothing of it is stored, or if its chunks cannot be named. */
  readonly sequence?: KvSequence
  /** The KV layer may hold the window anyway: the engine stores its chunks without cwm. */
  readonly isHidden: boolean
  /** It is neither warmed nor pinned, because the KV layer would evict it. */
  readonly textOnly: boolean
}

/** Throws `QUOTA_EXCEEDED` for a window that somebody asked for; one that cwm freezes on its own keeps its text. */
async function withinQuota(
  parts: WindowParts,
  record: WindowRecord,
  plan: KvPlan,
  tokens: number,
  { warnings }: Remarks,
  { signal }: CallOptions,
): Promise<KvPlan> {
  const excess = await quotaExcess(parts, record, plan, tokens, signal)
  if (excess === undefined) return plan
  if (!isAutomatic(record)) throw excess
  warnings.push(`only the text is stored: ${excess.message}`)
  return { isHidden: false, textOnly: true }
}

async function planKv(
  { kv }: WindowParts,
  engineName: string | undefined,
  tokenIds: Uint32Array,
  salt: string,
  { warnings, notes }: Remarks,
): Promise<KvPlan> {
  if (engineName === undefined)
    warnings.push('the engine does not list this model, so its chunks cannot be looked up in the KV layer')
  const link = await openIfReachable(kv, warnings)
  if (link === undefined) {
    notes.push("no KV layer is configured: only the engine's own cache holds this window")
    return { isHidden: false, textOnly: false }
  }
  if (link === 'away' || engineName === undefined) return { isHidden: tokenIds.length > 0, textOnly: false }
  const handle = link.plan(engineName, tokenIds.length)
  if (handle === undefined) {
    warnings.push(`the engine ${engineName} is not attached to the KV layer`)
    return { link, isHidden: false, textOnly: false }
  }
  const extent = link.extentOf(handle, tokenIds.length)
  const planned = { link, handle, extent, isHidden: false, textOnly: false }
  return extent.chunks === 0 ? planned : { ...planned, sequence: { tokenIds, salt, handle } }
}

interface PinStep {
  readonly parts: WindowParts
  readonly record: WindowRecord
  readonly tokenIds: Uint32Array
  readonly plan: KvPlan
  readonly steps: StepTimer
  readonly warnings: string[]
}

/** Pins the window if possible and returns whether it is pinned. If a pin is expected but not possible yet, the reconciler makes it. */
async function pinOrPostpone(step: PinStep): Promise<boolean> {
  const { parts, record, tokenIds, plan, steps, warnings } = step
  const { link, handle, extent, sequence } = plan
  let pin: Pinning = 'later'
  if (link !== undefined && sequence !== undefined) {
    if (link.capabilities.pin) pin = await steps.time('pin', () => tryPin(step, link, sequence.handle))
    else warnings.push('the KV layer cannot pin now (LMCache needs a coordinator for it), so it may evict these chunks')
  }
  if (pin !== 'later') return pin === 'pinned'
  if (parts.kv.expects.pin && tokenIds.length > 0 && extent?.chunks !== 0) {
    const asked = { pin: 'pinning', tokenIds, ...(handle === undefined ? {} : { keys: handle }) } as const
    await parts.store.changeWindow(record.tenant, record.name, record.id, asked)
  }
  return false
}

/** `refused`: the tenant's pin budget has no room. */
type Pinning = 'pinned' | 'later' | 'refused'

/**
 * If the KV layer is unreachable, the window is frozen without a pin and the reconciler pins it later. If the pin budget is full, an
 * automatic window is frozen without a pin.
 */
async function tryPin(
  { parts, record, tokenIds, warnings }: PinStep,
  link: KvLink,
  handle: KvHandle,
): Promise<Pinning> {
  try {
    const released = await makeRoomForPin(parts, link, record, tokenIds.length)
    if (released.length > 0) warnings.push(`pins of these windows were released to make room: ${released.join(', ')}`)
    await pinWindow(parts, link, record, tokenIds, handle)
    const pinUntil = pinExpiry(parts, record.tenant)
    if (pinUntil !== undefined) await parts.store.changeWindow(record.tenant, record.name, record.id, { pinUntil })
    return 'pinned'
  } catch (thrown) {
    const error = toCwmError(thrown)
    if (error.code === 'PIN_BUDGET_FULL' && isAutomatic(record)) {
      warnings.push(`not pinned: ${error.message}`)
      return 'refused'
    }
    if (fatal.includes(error.code)) throw error
    parts.kv.invalidate()
    warnings.push(`not pinned yet: ${error.message}`)
    return 'later'
  }
}

async function tryVerify(
  { kv }: WindowParts,
  link: KvLink,
  sequence: KvSequence,
  { warnings, notes }: Remarks,
  wait: KvWait,
): Promise<VerifiedPlacement | undefined> {
  try {
    const placement = await link.verify(sequence, wait)
    warnings.push(...placement.warnings)
    notes.push(...placement.notes)
    return placement
  } catch (thrown) {
    const error = toCwmError(thrown)
    if (error.code === 'INTERNAL') throw error
    kv.invalidate()
    warnings.push(`not verified: ${error.message}`)
    return undefined
  }
}
