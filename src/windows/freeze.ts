// Freeze: verify, then commit. From a reserved record to a proved window, or to a failed one that holds no pin.

import { CwmError, toCwmError } from '../base/errors.ts'
import type { ChunkKeys, FreezeReceipt, WindowRecord } from '../base/records.ts'
import { rulesOf } from '../dialects/index.ts'
import type { CallOptions } from '../engines/engine.ts'
import type { Link } from '../kv/lmcache/link.ts'
import { isAutomatic, isBeforeCut } from './auto-names.ts'
import { bytesOf, checksumOf } from './checksum.ts'
import { type FrozenIds, findFrozenIds, fitToLimit } from './frozen-ids.ts'
import type { PromptOfTurn, WindowParts } from './parts.ts'
import { makeRoomForPin, pinEnd } from './pin-budget.ts'
import { pinWindow, unpinWindow } from './pins.ts'
import { showPresence, unknownTiers } from './presence.ts'
import { noRemarks, type Remarks } from './remarks.ts'
import { Steps } from './steps.ts'

/**
 * Proves and commits a window whose name is reserved. Answers its final record: `frozen` with a receipt, or `failed` with a reason.
 * Never throws for what engine or LMCache do; throws what the store throws, and when `options.signal` aborts: then nothing is decided.
 */
export async function freezeReserved(
  parts: WindowParts,
  record: WindowRecord,
  turn: PromptOfTurn,
  options: FreezeOptions,
): Promise<WindowRecord> {
  const { store, now, log, metrics } = parts
  const { tenant, name, id } = record
  const steps = new Steps(now)
  try {
    const { receipt, tokenIds, keys } = await prove(parts, record, turn, steps, options)
    const checksum = checksumOf({ prompt: turn.prompt, tokenIds })
    const bytes = bytesOf({ prompt: turn.prompt, tokenIds })
    const change = { state: 'frozen', frozenAt: now(), checksum, receipt, tokenIds, bytes } as const
    await store.changeWindow(tenant, name, id, keys === undefined ? change : { ...change, keys })
    metrics.freezes.inc({ outcome: receipt.durability })
    metrics.freezeSeconds.observe((steps.ms.total ?? 0) / 1000)
    log.info(
      { window: name, durability: receipt.durability, tokens: receipt.tokens, ms: receipt.ms.total },
      'window frozen',
    )
  } catch (thrown) {
    const error = toCwmError(thrown)
    // Given up because cwm stops: the record still says `freezing`, so the next start goes on with it.
    if (error.code === 'STORE_UNAVAILABLE' || options.signal?.aborted === true) throw error
    if (options.keepOnOutage === true && outages.includes(error.code)) throw error
    log.warn({ window: name, err: error }, 'freeze failed')
    if (isBeforeCut(record)) await keepUnproved(parts, record, turn, error, steps)
    else {
      metrics.freezes.inc({ outcome: 'failed' })
      await undo(parts, record, error)
    }
  }
  return (await store.getWindow(tenant, name)) ?? record
}

/**
 * The window before a cut is the only way back from it: what of it could not be proved is kept all the same, with its pin and its ids if it
 * came to that.
 */
async function keepUnproved(
  { store, metrics, now }: WindowParts,
  record: WindowRecord,
  { prompt }: PromptOfTurn,
  error: CwmError,
  { ms }: Steps,
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
    warnings: [`nothing is proved of its KV: ${reasonOf(error)}`],
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
  return error.code === 'INTERNAL' ? 'cwm failed; its log has the cause' : error.told
}

async function undo(parts: WindowParts, record: WindowRecord, error: CwmError): Promise<void> {
  const { store, lmcache, log } = parts
  const { tenant, name, id } = record
  const reason = reasonOf(error)
  await store.changeWindow(tenant, name, id, { state: 'failed', reason })
  const current = await store.getWindow(tenant, name)
  if (current === undefined || current.id !== id || current.pin === 'none') return
  try {
    const link = await lmcache.open()
    if (link !== undefined) await unpinWindow(parts, link, current)
  } catch (thrown) {
    log.warn(
      { window: name, err: toCwmError(thrown) },
      'the pin of a failed freeze is given back later, by the reconciler',
    )
  }
}

/** A freeze in the background may find the engine still starting. */
export interface FreezeOptions extends CallOptions {
  /** An engine that does not answer leaves the window `freezing`, to be tried again, instead of `failed`. */
  readonly keepOnOutage?: boolean
}

/** What no freeze goes on after: nothing of the window could be relied on, or its tenant has no room for it. */
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
  readonly keys: ChunkKeys | undefined
}

async function prove(
  parts: WindowParts,
  record: WindowRecord,
  turn: PromptOfTurn,
  steps: Steps,
  options: CallOptions,
): Promise<Proof> {
  const { engine, models, now, verifyDeadlineMs, saltOf } = parts
  const remarks = noRemarks()
  const { warnings, notes } = remarks
  const found = await steps.time('ids', () => findFrozenIds(engine, rulesOf(record.dialect), turn, options))
  const { ids, warning, note } = found
  if (warning !== undefined) warnings.push(warning)
  if (note !== undefined) notes.push(note)
  const model = await models.find(record.model, options.apiKey)
  if (record.origin === 'content' || record.origin === 'import') checkServable(found, model?.limit)
  const tokenIds = fitToLimit(ids, model?.limit)
  if (tokenIds.length < ids.length) notes.push('the context is full: its last tokens are left out')
  const whole = found.whole === true && tokenIds.length === ids.length
  const { link, keys } = await findKeys(parts, model?.engineName, remarks)
  // An LMCache that does not answer may hold the chunks all the same: the engine stores them on a way of its own.
  const unknown = parts.lmcache.configured && link === undefined && tokenIds.length > 0
  const chunks = keys === undefined ? 0 : Math.floor(tokenIds.length / keys.chunkSize)
  const salt = saltOf(record)
  const sequence = keys === undefined || chunks === 0 ? undefined : { tokenIds, salt, keys }

  let pin: Pinning = 'later'
  if (link !== undefined && sequence !== undefined) {
    if (link.client.pins) {
      pin = await steps.time('pin', () => tryPin(parts, link, record, tokenIds, sequence.keys, warnings))
    } else warnings.push('no coordinator: nothing is pinned, so LMCache may evict these chunks')
  }
  if (pin === 'later' && parts.lmcache.expectsPins && tokenIds.length > 0 && (keys === undefined || chunks > 0)) {
    // Whoever has a coordinator gets the pin as soon as it answers: the reconciler sees to it.
    const asked = { pin: 'pinning', tokenIds } as const
    await parts.store.changeWindow(
      record.tenant,
      record.name,
      record.id,
      keys === undefined ? asked : { ...asked, keys },
    )
  }

  await parts.quotas.ensure(salt, parts.policyOf(record.tenant).kvQuotaGb)
  const warm =
    tokenIds.length === 0
      ? undefined
      : await steps.time('warm', () => engine.warm(record.model, tokenIds, salt, options))
  const cachedTokens = warm?.cachedTokens ?? null

  const presence =
    link === undefined || sequence === undefined
      ? undefined
      : await steps.time('verify', () =>
          tryPresence(parts, link, sequence, warnings, { deadlineMs: verifyDeadlineMs, now, signal: options.signal }),
        )
  if (keys !== undefined && chunks === 0 && tokenIds.length > 0) {
    notes.push(`under one chunk of ${keys.chunkSize} tokens: LMCache stores nothing`)
  }
  const receipt: FreezeReceipt = {
    durability: sequence === undefined && !unknown ? 'text' : (presence?.durability ?? 'unverified'),
    tokens: tokenIds.length,
    ...(whole ? { whole } : {}),
    chunkSize: keys?.chunkSize ?? null,
    chunks,
    restorableTokens: (presence?.leadingChunks ?? 0) * (keys?.chunkSize ?? 0),
    tiers: presence?.tiers ?? unknownTiers(chunks),
    pinned: pin === 'pinned',
    cachedTokens,
    computedTokens: cachedTokens === null ? null : tokenIds.length - cachedTokens,
    ms: { ...steps.ms },
    warnings,
    notes,
  }
  return { receipt, tokenIds, keys }
}

/** No turn has shown yet that the engine takes this prompt: a window that nobody can continue is none. */
function checkServable({ ids, refusal }: FrozenIds, limit: number | undefined): void {
  if (refusal !== undefined) {
    throw new CwmError('UPSTREAM_REJECTED', 'the engine refused the prompt', { detail: refusal })
  }
  if (limit !== undefined && ids.length >= limit) {
    throw new CwmError('UPSTREAM_REJECTED', `the prompt has ${ids.length} tokens, and the model's limit is ${limit}`)
  }
}

async function findKeys(
  { lmcache }: WindowParts,
  engineName: string | undefined,
  { warnings, notes }: Remarks,
): Promise<{ link: Link | undefined; keys: ChunkKeys | undefined }> {
  if (engineName === undefined)
    warnings.push('the engine does not list this model, so LMCache cannot be asked for its chunks')
  let link: Link | undefined
  try {
    link = await lmcache.open()
  } catch (thrown) {
    warnings.push(toCwmError(thrown).message)
  }
  if (!lmcache.configured) notes.push("no LMCache is configured: only the engine's own cache holds this window")
  if (link === undefined || engineName === undefined) return { link: undefined, keys: undefined }
  const keys = link.keysOf(engineName)
  if (keys === undefined) warnings.push(`no LMCache server has the engine ${engineName} attached`)
  return { link, keys }
}

/** `refused`: the tenant has no room for it. */
type Pinning = 'pinned' | 'later' | 'refused'

/**
 * A coordinator that cannot be reached costs the pin, not the window: the reconciler pins it later. Nor does a full budget cost a window
 * that nobody asked for: it goes without.
 */
async function tryPin(
  parts: WindowParts,
  link: Link,
  record: WindowRecord,
  tokenIds: Uint32Array,
  keys: ChunkKeys,
  warnings: string[],
): Promise<Pinning> {
  try {
    const released = await makeRoomForPin(parts, link, record, tokenIds.length)
    if (released.length > 0) warnings.push(`to make room, these windows gave their pin back: ${released.join(', ')}`)
    await pinWindow(parts, link, record, tokenIds, keys)
    const pinUntil = pinEnd(parts, record.tenant)
    if (pinUntil !== undefined) await parts.store.changeWindow(record.tenant, record.name, record.id, { pinUntil })
    return 'pinned'
  } catch (thrown) {
    const error = toCwmError(thrown)
    if (error.code === 'PIN_BUDGET_FULL' && isAutomatic(record)) {
      warnings.push(`not pinned: ${error.message}`)
      return 'refused'
    }
    if (fatal.includes(error.code)) throw error
    parts.lmcache.doubt()
    warnings.push(`not pinned yet: ${error.message}`)
    return 'later'
  }
}

async function tryPresence(
  parts: WindowParts,
  link: Link,
  sequence: Parameters<typeof showPresence>[1],
  warnings: string[],
  options: Parameters<typeof showPresence>[2],
) {
  try {
    const presence = await showPresence(link, sequence, options)
    warnings.push(...presence.warnings)
    return presence
  } catch (thrown) {
    const error = toCwmError(thrown)
    if (error.code === 'INTERNAL') throw error
    parts.lmcache.doubt()
    warnings.push(`not verified: ${error.message}`)
    return undefined
  }
}
