// Does the background work of a library: freezes its windows, publishes them under its tag, and deletes those that it no longer uses.

import { setTimeout as sleep } from 'node:timers/promises'
import { toCwmError } from '../base/errors.ts'
import { inParallel } from '../base/in-parallel.ts'
import {
  isOpenLibrary,
  type LibraryBuild,
  type LibraryFailure,
  type LibraryManifest,
  type LibraryRecord,
} from '../base/library-records.ts'
import { sortedTags } from '../windows/new-window.ts'
import { type FreezeJob, freezePart } from './freeze-part.ts'
import { uses, windowsOf, withManifest } from './library-changes.ts'
import { libraryTag } from './part-prompt.ts'
import type { LibraryParts } from './parts.ts'

/** A library by name, and the credentials for the engine. */
export interface BuildTask {
  readonly tenant: string
  readonly name: string
  readonly apiKey: string | undefined
  readonly signal: AbortSignal
  readonly onChange: () => void
}

/** Freezes of one library at once: the engine is the bottleneck, but each freeze also waits for storage. */
const FREEZES_AT_ONCE = 4
const DELETES_AT_ONCE = 4
/** A delete by request does the work itself. If it was interrupted, the work is taken over after this time. */
const DELETE_GRACE_MS = 60_000

/** Returns when nothing is left to do. Throws `STORE_UNAVAILABLE`, and `SHUTTING_DOWN` when the signal aborts. */
export async function workOnLibrary(parts: LibraryParts, task: BuildTask): Promise<void> {
  const { store, now } = parts
  while (!task.signal.aborted) {
    const record = await store.getLibrary(task.tenant, task.name)
    if (record === undefined || !isOpenLibrary(record)) return
    const { build, stale, deleted, changedAt } = record
    if (deleted === true && now() - changedAt < DELETE_GRACE_MS) return
    if (build !== undefined && build.failure === undefined) await runBuild(parts, task, record, build)
    else if (stale.length > 0) await dropStale(parts, task, record)
    else await store.removeLibrary(record.tenant, record.name, record.revision)
    task.onChange()
  }
}

async function runBuild(
  parts: LibraryParts,
  task: BuildTask,
  library: LibraryRecord,
  build: LibraryBuild,
): Promise<void> {
  const { store } = parts
  const { tenant, name } = library
  const pending = [...(await store.listLibraryParts(tenant, name))].flatMap(([window, done]) => (done ? [] : [window]))
  let failure: LibraryFailure | undefined
  const isCurrent = async () => failure === undefined && (await hasBuild(parts, library, build))
  const job: FreezeJob = { library, build, apiKey: task.apiKey, signal: task.signal, isCurrent }
  await inParallel(pending, FREEZES_AT_ONCE, async (window) => {
    const outcome = await freezePart(parts, job, window)
    if (outcome === 'done') await store.markLibraryPart(tenant, name, window, true)
    else if (outcome !== 'changed') failure ??= { window, reason: outcome.reason }
    if (!(await hasBuild(parts, library, build))) await dropUnused(parts, tenant, name, window)
    task.onChange()
  })
  failure ??= await findLoss(parts, library, build.manifest)
  if (failure !== undefined) await giveUp(parts, library, build, failure)
  else if ((await isComplete(parts, library)) && (await hasBuild(parts, library, build))) {
    await showManifest(parts, library, build.manifest)
  }
}

async function hasBuild({ store }: LibraryParts, { tenant, name }: LibraryRecord, { id }: LibraryBuild) {
  return (await store.getLibrary(tenant, name))?.build?.id === id
}

/** The library was changed or deleted during the freeze, so the window may have no other record. */
async function dropUnused(parts: LibraryParts, tenant: string, name: string, window: string): Promise<void> {
  const record = await parts.store.getLibrary(tenant, name)
  if (record === undefined || !uses(record, window)) await deleteIfThere(parts, tenant, window)
}

/** Checks that all windows of the manifest exist. Those that can be frozen again are no longer done; returns the first that cannot. */
async function findLoss(
  { store }: LibraryParts,
  { tenant, name }: LibraryRecord,
  manifest: LibraryManifest,
): Promise<LibraryFailure | undefined> {
  const pending = await store.listLibraryParts(tenant, name)
  for (const window of windowsOf(manifest)) {
    if ((await store.getWindow(tenant, window))?.state === 'frozen') continue
    if (!pending.has(window)) return { window, reason: 'its window was deleted meanwhile' }
    await store.markLibraryPart(tenant, name, window, false)
  }
  return undefined
}

async function isComplete({ store }: LibraryParts, { tenant, name }: LibraryRecord): Promise<boolean> {
  return [...(await store.listLibraryParts(tenant, name)).values()].every(Boolean)
}

/** Does nothing if the library has changed since. */
async function giveUp(
  { store, now, log }: LibraryParts,
  library: LibraryRecord,
  build: LibraryBuild,
  failure: LibraryFailure,
): Promise<void> {
  const next = { ...library, revision: library.revision + 1, changedAt: now(), build: { ...build, failure } }
  if (!(await store.putLibrary(next))) return
  // Without the reason, which may quote the engine's answer.
  log.warn({ library: library.name, window: failure.window }, 'a library could not be built')
}

/** The new windows get the tag, then the manifest is replaced. Until then, no question by tag reaches them (`hiddenWindowsOf`). */
async function showManifest(
  { store, now, log }: LibraryParts,
  library: LibraryRecord,
  manifest: LibraryManifest,
): Promise<void> {
  const { tenant, name } = library
  const tags = [...manifest.tags, libraryTag(name)]
  for (const window of windowsOf(manifest)) {
    const record = await store.getWindow(tenant, window)
    if (record !== undefined && !tags.every((tag) => record.tags.includes(tag))) {
      await store.changeWindow(tenant, window, record.id, { tags: sortedTags([...record.tags, ...tags]) })
    }
  }
  if (!(await store.putLibrary(withManifest(library, manifest, now()), []))) return
  log.info({ library: name, windows: windowsOf(manifest).size }, 'library built')
}

/** Deletes the windows that the library no longer uses. Those that cannot be deleted yet stay listed. */
async function dropStale(parts: LibraryParts, { signal }: BuildTask, library: LibraryRecord): Promise<void> {
  const { store, now, retryMs } = parts
  const { tenant, name, revision } = library
  const left = await inParallel(library.stale, DELETES_AT_ONCE, async (window) => {
    const current = await store.getLibrary(tenant, name)
    if (signal.aborted || current?.revision !== revision) return [window]
    return (await deleteIfThere(parts, tenant, window)) ? [] : [window]
  })
  const stale = left.flat()
  if (signal.aborted) return
  await store.putLibrary({ ...library, revision: revision + 1, changedAt: now(), stale })
  if (stale.length > 0) await sleep(retryMs, undefined, { signal }).catch(() => {})
}

/** Returns false if the window is still being frozen, so that it cannot be deleted now. */
async function deleteIfThere({ deletions }: LibraryParts, tenant: string, window: string): Promise<boolean> {
  try {
    await deletions.deleteWindow(tenant, window, 'asked', 'cwm')
    return true
  } catch (thrown) {
    const { code } = toCwmError(thrown)
    if (code === 'WINDOW_NOT_FOUND') return true
    if (code === 'WINDOW_NOT_READY') return false
    throw thrown
  }
}
