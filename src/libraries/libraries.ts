// Libraries: texts cut into windows, which are frozen in the background and found under the tag `library:NAME`. The operations that REST,
// MCP and CLI share; background work is in library-builder.ts.

import { EventEmitter, setMaxListeners } from 'node:events'
import { toCwmError } from '../base/errors.ts'
import type { LibraryRecord } from '../base/library-records.ts'
import { readUntil } from '../base/read-until.ts'
import type { Page, PageRequest } from '../store/store-values.ts'
import { leaseKeys, withLease } from '../windows/lease.ts'
import { type OperationOptions, runAudited } from '../windows/operation-audit.ts'
import { type LibraryRequest, putTexts } from './add-library.ts'
import { deleteLibrary, type LibraryDeletion, libraryNotFound } from './delete-library.ts'
import { workOnLibrary } from './library-builder.ts'
import { windowsOf } from './library-changes.ts'
import type { LibraryParts } from './parts.ts'

/** A library, and the progress of its build. */
export interface LibraryView {
  readonly record: LibraryRecord
  /** Of the build's windows; undefined if none are being frozen. */
  readonly progress: { readonly done: number; readonly total: number } | undefined
}

/** Libraries worked on at once, in this process. The others wait for the next run. */
const MAX_JOBS = 16
/** Open libraries looked at in a run. */
const PER_RUN = 1_000

export class Libraries {
  readonly #parts: LibraryParts
  /** By library. Bounded by `MAX_JOBS`. */
  readonly #jobs = new Map<string, Promise<void>>()
  /** Libraries that changed during their job, with the key for the engine: the job may have looked before. */
  readonly #again = new Map<string, string | undefined>()
  readonly #stopping = new AbortController()
  readonly #changed = new EventEmitter().setMaxListeners(0)

  constructor(parts: LibraryParts) {
    this.#parts = parts
    // Each freeze in progress listens to it. Their number is bounded by the jobs.
    setMaxListeners(0, this.#stopping.signal)
  }

  /**
   * Creates a library from these texts, or replaces its texts. Returns once the texts are cut and stored; the windows are frozen in the background.
   * The same texts again change nothing. Throws what `putTexts` throws.
   */
  async put(request: LibraryRequest, options: OperationOptions): Promise<LibraryView> {
    const { tenant, name } = request
    const operation = { tenant, actor: options.actor, action: 'create', target: 'library', name } as const
    const record = await runAudited(
      this.#parts,
      operation,
      () => putTexts(this.#parts, request, options),
      ({ build, manifest }) => ({ receipt: { windows: windowsOf(build?.manifest ?? manifest).size } }),
    )
    this.#start(tenant, name, options.apiKey)
    this.#notify(tenant, name)
    return await this.#view(record)
  }

  /** Returns once the library is not being built, or after `waitMs`. Throws `LIBRARY_NOT_FOUND`. Aborting ends the wait. */
  async show(tenant: string, name: string, waitMs = 0, signal?: AbortSignal): Promise<LibraryView> {
    const isShared = Number.isFinite(this.#parts.store.maxStalenessMs)
    const wait = { changed: this.#changed, key: keyOf(tenant, name), isShared, waitMs, signal }
    const isSettled = ({ build }: LibraryRecord) => waitMs === 0 || build === undefined || build.failure !== undefined
    return await this.#view(await readUntil(() => this.#require(tenant, name), isSettled, wait))
  }

  async #require(tenant: string, name: string): Promise<LibraryRecord> {
    const record = await this.#parts.store.getLibrary(tenant, name)
    if (record === undefined || record.deleted === true) throw libraryNotFound(name)
    return record
  }

  /** By name. Libraries that are being deleted are not listed. */
  async list(tenant: string, page: PageRequest): Promise<Page<LibraryView>> {
    const { items, ...rest } = await this.#parts.store.listLibraries(tenant, page)
    const shown = items.filter(({ deleted }) => deleted !== true)
    return { items: await Promise.all(shown.map((record) => this.#view(record))), ...rest }
  }

  /** Deletes a library with all its windows. Throws `LIBRARY_NOT_FOUND` and what the store throws. */
  delete(tenant: string, name: string, { actor }: OperationOptions): Promise<LibraryDeletion> {
    const operation = { tenant, actor, action: 'delete', target: 'library', name } as const
    const work = async () => {
      const deletion = await deleteLibrary(this.#parts, tenant, name, actor)
      if (deletion.windowsLeft > 0) this.#start(tenant, name, this.#parts.apiKey())
      this.#notify(tenant, name)
      return deletion
    }
    return runAudited(this.#parts, operation, work, ({ windows, deletedChunks, residualChunks }) => ({
      receipt: { windows, deleted_chunks: deletedChunks, residual_chunks: residualChunks },
    }))
  }

  /**
   * Removes a tenant's libraries, so that nothing is frozen for them any more; their windows are left to the erasure of the tenant. Builds in
   * this process have ended when it resolves.
   */
  async forget(tenant: string): Promise<void> {
    const { store } = this.#parts
    for (;;) {
      const { items } = await store.listLibraries(tenant, { limit: 100 })
      if (items.length === 0) return
      for (const { name, revision } of items) {
        await store.removeLibrary(tenant, name, revision)
        this.#notify(tenant, name)
        await this.#jobs.get(keyOf(tenant, name))
      }
    }
  }

  /** Continues builds that another process, or this one before a restart, has left. Throws only `STORE_UNAVAILABLE`. */
  async run(): Promise<void> {
    for (const { tenant, name } of await this.#parts.store.listOpenLibraries(PER_RUN)) {
      this.#start(tenant, name, this.#parts.apiKey())
    }
  }

  /** Ends all builds; the next start continues them. Resolves when they have ended. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#jobs.values())
  }

  #start(tenant: string, name: string, apiKey: string | undefined): void {
    const key = keyOf(tenant, name)
    if (this.#jobs.has(key)) return void this.#again.set(key, apiKey)
    if (this.#jobs.size >= MAX_JOBS || this.#stopping.signal.aborted) return
    this.#again.delete(key)
    const { signal } = this.#stopping
    const task = { tenant, name, apiKey, signal, onChange: () => this.#notify(tenant, name) }
    const work = () => workOnLibrary(this.#parts, task)
    const job = withLease(this.#parts.store, leaseKeys.library(tenant, name), work)
      .catch((thrown: unknown) => {
        if (signal.aborted) return
        this.#parts.log.error(
          { library: name, err: toCwmError(thrown) },
          'work on a library failed; it will be continued',
        )
      })
      .then(() => {
        this.#jobs.delete(key)
        this.#notify(tenant, name)
        if (this.#again.has(key)) this.#start(tenant, name, this.#again.get(key))
      })
    this.#jobs.set(key, job)
  }

  async #view(record: LibraryRecord): Promise<LibraryView> {
    const { tenant, name, build } = record
    if (build === undefined) return { record, progress: undefined }
    const pending = await this.#parts.store.listLibraryParts(tenant, name)
    const total = windowsOf(build.manifest).size
    return { record, progress: { total, done: total - [...pending.values()].filter((done) => !done).length } }
  }

  #notify(tenant: string, name: string): void {
    this.#changed.emit(keyOf(tenant, name))
  }
}

/** A library among those of all tenants. */
function keyOf(tenant: string, name: string): string {
  return JSON.stringify([tenant, name])
}
