// Freezes one window of a library in a background slot, and tries again if it fails.

import { setTimeout as sleep } from 'node:timers/promises'
import { CwmError, toCwmError } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import type { LibraryBuild, LibraryRecord } from '../base/library-records.ts'
import type { Prompt, WindowRecord } from '../base/records.ts'
import { createWindow } from '../windows/create-window.ts'
import { leaseKeys, withLease } from '../windows/lease.ts'
import type { LibraryParts } from './parts.ts'

/** `done`: the window is frozen. `changed`: another build replaced this one. Otherwise why the window cannot be frozen. */
export type PartOutcome = 'done' | 'changed' | { readonly reason: string }

/** One attempt. `waits`: it did not fail, but another process holds the window, or there was no slot or no engine. */
type Attempt = PartOutcome | 'waits'

export interface FreezeJob {
  readonly library: LibraryRecord
  readonly build: LibraryBuild
  readonly apiKey: string | undefined
  /** Aborting ends waits and calls to the engine. */
  readonly signal: AbortSignal
  /** Whether the library still has this build. */
  readonly isCurrent: () => Promise<boolean>
}

const MAX_TRIES = 4
const SLOWER = 3
/** Errors for which another attempt is pointless. */
const final: readonly string[] = ['QUOTA_EXCEEDED', 'PIN_BUDGET_FULL', 'FORBIDDEN_MODEL', 'INVALID_FIELD']
const postponed: readonly string[] = ['OVERLOADED', 'BUSY', 'WINDOW_NAME_TAKEN']
const outages: readonly string[] = ['UPSTREAM_REFUSED', 'UPSTREAM_TIMEOUT', 'UPSTREAM_BROKEN', 'UPSTREAM_OPEN']

/** Throws `STORE_UNAVAILABLE`, and `SHUTTING_DOWN` when the signal aborts. Waits without a time limit while the engine is unavailable. */
export async function freezePart(parts: LibraryParts, job: FreezeJob, window: string): Promise<PartOutcome> {
  let delayMs = parts.retryMs
  for (let tries = 1; ; ) {
    if (job.signal.aborted) throw stopped()
    if (!(await job.isCurrent())) return 'changed'
    const attempt = await tryPart(parts, job, window)
    if (attempt === 'done' || attempt === 'changed') return attempt
    const isWaiting = attempt === 'waits' || (await isEngineAway(parts, job))
    if (!isWaiting && (tries++ >= MAX_TRIES || isFinal(attempt))) return attempt
    await sleep(delayMs, undefined, { signal: job.signal }).catch(() => {})
    if (!isWaiting) delayMs *= SLOWER
  }
}

interface Refusal {
  readonly reason: string
  readonly isFinal?: true
}

function isFinal(refusal: Refusal): boolean {
  return refusal.isFinal === true
}

async function tryPart(parts: LibraryParts, job: FreezeJob, window: string): Promise<Attempt> {
  const { store, windows } = parts
  const { tenant, name } = job.library
  const held = await store.getWindow(tenant, window)
  if (held?.state === 'frozen') return 'done'
  if (held?.state === 'freezing') {
    const view = await windows.showSettled(tenant, window, parts.settleMs, job.signal)
    if (view.state === 'freezing' && !job.signal.aborted) await dropOrphan(parts, view)
    return 'waits'
  }
  const prompt = await store.getLibraryPart(tenant, name, window)
  if (prompt === undefined) return { reason: 'its window was deleted meanwhile', ...{ isFinal: true } }
  return await tryFreeze(parts, job, window, prompt)
}

/**
 * Deletes a window whose freeze no process continues, because its proxy died. The reconciler would finish it too, but only minutes later. As
 * `failed` it can be deleted at once.
 */
async function dropOrphan(
  { store, windows, deletions }: LibraryParts,
  { tenant, name, id }: WindowRecord,
): Promise<void> {
  if (windows.isBusy(id)) return
  const abandon = () => store.changeWindow(tenant, name, id, { state: 'failed', reason: 'its proxy stopped' })
  if ((await withLease(store, leaseKeys.window(id), abandon)) !== true) return
  await deletions.deleteWindow(tenant, name, 'asked', 'cwm').catch((thrown: unknown) => {
    if (!['WINDOW_NOT_FOUND', 'WINDOW_NOT_READY'].includes(toCwmError(thrown).code)) throw thrown
  })
}

async function tryFreeze(parts: LibraryParts, job: FreezeJob, window: string, prompt: Prompt): Promise<Attempt> {
  const { tenant } = job.library
  const { actor, manifest } = job.build
  const { signal, apiKey } = job
  const request = {
    tenant,
    name: window,
    prompt,
    clientSalt: undefined,
    lineage: randomId(),
    shared: undefined,
    // The library's own tag is added once all of its windows are frozen.
    tags: manifest.tags,
  }
  try {
    const freeze = () => createWindow(parts.windows, request, { actor, apiKey, signal })
    const record = await parts.freezeSlots.run(tenant, freeze, { signal })
    return record.state === 'frozen' ? 'done' : { reason: record.reason ?? record.state }
  } catch (thrown) {
    const error = toCwmError(thrown)
    if (signal.aborted) throw stopped()
    if (error.code === 'STORE_UNAVAILABLE' || error.code === 'SHUTTING_DOWN') throw error
    if (postponed.includes(error.code)) return 'waits'
    const reason = error.code === 'INTERNAL' ? 'internal error; see the cwm log' : error.clientMessage
    if (error.code === 'INTERNAL') parts.log.error({ window, err: error }, 'a part of a library was not frozen')
    return { reason, ...(final.includes(error.code) ? { isFinal: true as const } : {}) }
  }
}

/** Whether the engine does not answer at all, so that the failure does not count for the window. */
async function isEngineAway({ fleet }: LibraryParts, { build, apiKey }: FreezeJob): Promise<boolean> {
  try {
    await (await fleet.pick({ model: build.manifest.model })).models.list(apiKey)
    return false
  } catch (thrown) {
    return outages.includes(toCwmError(thrown).code)
  }
}

function stopped(): CwmError {
  return new CwmError('SHUTTING_DOWN', 'cwm is stopping')
}
