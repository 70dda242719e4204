// Thaw: restore the KV and have the engine prove it. One warm call loads what the KV layer holds and computes the rest. The proof is that
// call's own `cached_tokens`: for any later call everything is cached, no matter who computed it.

import { abortable } from '../base/abortable.ts'
import { CwmError, toCwmError } from '../base/errors.ts'
import type { ThawReceipt, TierCounts } from '../base/records.ts'
import { rulesOf } from '../dialects/index.ts'
import type { CallOptions, Engine } from '../engines/engine.ts'
import { type Placement, unknownTiers } from '../kv/kv.ts'
import { type BaseWindow, windowNotFound } from './base-windows.ts'
import { commonPrefix, findFrozenIds, fitToLimit } from './frozen-ids.ts'
import type { OperationOptions } from './operation-audit.ts'
import { turnPromptOf, type WindowParts } from './parts.ts'
import { moveToEpoch, recordThaw, restorePin } from './refresh-on-thaw.ts'
import { emptyRemarks } from './remarks.ts'
import { StepTimer } from './step-timer.ts'

/** Restores a window's KV and returns a receipt. Throws what the engine throws; KV layer failures become warnings. */
export async function restoreWindow(
  parts: WindowParts,
  base: BaseWindow,
  sessionId: string,
  options: OperationOptions,
): Promise<ThawReceipt> {
  const { now, saltOf, log, metrics } = parts
  const { prompt } = base
  const steps = new StepTimer(now)
  const remarks = emptyRemarks()
  const { warnings, notes } = remarks
  const engine = await parts.fleet.pick({ ...base.record, sessionId })
  const model = await engine.models.find(prompt.model, options.apiKey)
  const { ids, drift } = await steps.time('ids', () => currentIds(engine, base, model?.limit, warnings, options))
  const tiersBefore = await steps.time('lookup', () =>
    lookupTiers(parts, base, ids, model?.engineName, warnings, options),
  )

  const refreshed = await moveToEpoch(parts, base.record, remarks)
  const pin = () => restorePin(parts, refreshed, ids, model?.engineName, remarks)
  let record = parts.kv.holds === 'before-warm' ? await pin() : refreshed.record
  const salt = saltOf({ ...record, kvEpoch: parts.kvEpoch })
  // Checked at the last moment: chunks warmed after the window's deletion would have no owner to delete them.
  if (await parts.store.isRetired(record.tenant, record.lineage)) throw windowNotFound(record.name)
  await parts.quotas.ensure(salt, parts.policyOf(record.tenant).kvQuotaGb)
  const warm =
    ids.length === 0
      ? undefined
      : await steps.time('warm', () => engine.warm({ model: prompt.model, tokenIds: ids, salt }, options))
  if (parts.kv.holds === 'after-warm') record = await pin()
  await recordThaw(parts, record)
  const restored = warm === undefined ? (ids.length === 0 ? 0 : null) : (warm.cachedTokens ?? null)
  if (warm !== undefined && restored === null) {
    warnings.push(
      'the engine does not report cached tokens (start it with --enable-prompt-tokens-details), so nothing was verified',
    )
  }
  if (ids.length === 0)
    warnings.push('this window has no token ids: its text is restored, and its KV is computed by the next turn')
  const provable = record.receipt?.restorableTokens ?? 0
  if (restored !== null && restored > provable) {
    notes.push(
      `${restored} tokens were cached, and the freeze verified ${provable} as restorable: the rest was still in the engine's own cache, or was stored since`,
    )
  }
  const receipt: ThawReceipt = {
    window: record.name,
    sessionId,
    tokens: ids.length,
    restoredTokens: restored,
    recomputedTokens: restored === null ? null : ids.length - restored,
    tiersBefore,
    drift,
    ms: { ...steps.ms },
    engine: engine.id,
    at: now(),
    warnings,
    notes,
  }
  if (warm !== undefined) {
    const owner = { tenant: record.tenant, key: options.actor, model: prompt.model }
    const { recomputedTokens: computedTokens } = receipt
    parts.ledger.warmed(owner, { cachedTokens: restored, computedTokens, restores: true })
  }
  metrics.thaws.inc({ outcome: restored === null ? 'unproved' : restored > 0 ? 'restored' : 'recomputed' })
  metrics.thawSeconds.observe((steps.ms.total ?? 0) / 1000)
  metrics.restoredTokens.inc(restored ?? 0)
  metrics.recomputedTokens.inc(receipt.recomputedTokens ?? 0)
  log.info(
    {
      window: record.name,
      session: sessionId,
      tokens: ids.length,
      restored,
      recomputed: receipt.recomputedTokens,
      ms: steps.ms.total,
    },
    'window thawed',
  )
  return receipt
}

/** The ids that template and tokenizer produce today. If they differ from those at freeze, they need other KV, so these are warmed. */
async function currentIds(
  engine: Pick<Engine, 'tokenIds'>,
  { record, prompt, tokenIds }: BaseWindow,
  limit: number | undefined,
  warnings: string[],
  options: CallOptions,
): Promise<{ ids: Uint32Array; drift: boolean }> {
  if (tokenIds.length === 0) return { ids: tokenIds, drift: false }
  const turn = { ...turnPromptOf(record, prompt), promptTokens: undefined }
  const found = await findFrozenIds(engine, rulesOf(record.dialect), turn, options)
  const ids = fitToLimit(found.ids, limit)
  if (ids.length === 0) {
    warnings.push(`the ids from the freeze are used: ${found.warning ?? found.note ?? 'the engine returned none'}`)
    return { ids: tokenIds, drift: false }
  }
  const drift = ids.length !== tokenIds.length || commonPrefix(ids, tokenIds) !== ids.length
  if (drift) {
    const from = commonPrefix(ids, tokenIds)
    warnings.push(`template or tokenizer now produce other ids from token ${from} on: the rest is recomputed`)
  }
  return { ids, drift }
}

/** The lookup only informs the receipt, so a KV layer that does not answer must not delay the client's first token for long. */
const LOOKUP_DEADLINE_MS = 3_000

/** Where the ids are now; unknown, with a warning, if the KV layer does not answer in time. */
export async function lookupTiers(
  parts: WindowParts,
  base: BaseWindow,
  ids: Uint32Array,
  engineName: string | undefined,
  warnings: string[],
  options: CallOptions,
): Promise<TierCounts> {
  if (engineName === undefined) return unknownTiers(0)
  const deadline = AbortSignal.timeout(LOOKUP_DEADLINE_MS)
  const signal = options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline])
  try {
    const placement = await abortable(locateNow(parts, base, ids, engineName, signal), signal)
    return placement?.tiers ?? unknownTiers(0)
  } catch (thrown) {
    if (options.signal?.aborted === true) throw new CwmError('CLIENT_GONE', 'the client left during the thaw')
    parts.kv.invalidate()
    if (deadline.aborted) warnings.push(`the KV layer did not answer the lookup within ${LOOKUP_DEADLINE_MS} ms`)
    else {
      const error = toCwmError(thrown)
      if (error.code === 'INTERNAL') throw error
      warnings.push(error.message)
    }
    return unknownTiers(0)
  }
}

/** Undefined if there is no KV layer to query, or it does not know the engine. */
async function locateNow(
  { kv, saltOf, kvEpoch, costs }: WindowParts,
  { record }: BaseWindow,
  tokenIds: Uint32Array,
  engineName: string,
  signal: AbortSignal,
): Promise<Placement | undefined> {
  const link = await kv.open()
  const handle = link?.plan(engineName, tokenIds.length)
  if (link === undefined || handle === undefined) return undefined
  const placement = await link.locate({ tokenIds, salt: saltOf({ ...record, kvEpoch }), handle }, signal)
  costs.sawChunks(engineName, link.extentOf(handle, tokenIds.length).chunkSize, placement)
  return placement
}
