// How a library's record changes. Pure functions; store and engines are not involved.

import type { LibraryBuild, LibraryManifest, LibraryRecord } from '../base/library-records.ts'

/** The windows of a manifest, each once. */
export function windowsOf(manifest: LibraryManifest | undefined): ReadonlySet<string> {
  return new Set(manifest?.parts.map(({ window }) => window))
}

/** All windows that the library may have, deleted ones included. */
export function allWindowsOf({ manifest, build, stale }: LibraryRecord): ReadonlySet<string> {
  return new Set([...windowsOf(manifest), ...windowsOf(build?.manifest), ...stale])
}

/** The record with a new build, which replaces one that is not done. */
export function withBuild(
  before: LibraryRecord | undefined,
  { tenant, name }: Pick<LibraryRecord, 'tenant' | 'name'>,
  build: LibraryBuild,
): LibraryRecord {
  const { startedAt: at } = build
  if (before === undefined) return { tenant, name, revision: 1, createdAt: at, changedAt: at, build, stale: [] }
  const stale = without(allWindowsOf(before), windowsOf(before.manifest), windowsOf(build.manifest))
  return { ...before, revision: before.revision + 1, changedAt: at, build, stale }
}

/** The record once all windows of its build are frozen: the build's manifest replaces the one before. */
export function withManifest(before: LibraryRecord, manifest: LibraryManifest, at: number): LibraryRecord {
  const { build: _, ...rest } = before
  const stale = without(allWindowsOf(before), windowsOf(manifest))
  return { ...rest, revision: before.revision + 1, changedAt: at, manifest, stale }
}

/** The record of a library that is being deleted. */
export function asDeleted(before: LibraryRecord, at: number): LibraryRecord {
  const { manifest: _, build: __, ...rest } = before
  return { ...rest, revision: before.revision + 1, changedAt: at, stale: [...allWindowsOf(before)], deleted: true }
}

/** Whether a window belongs to the library's manifest or its build. */
export function uses({ manifest, build }: LibraryRecord, window: string): boolean {
  return windowsOf(manifest).has(window) || windowsOf(build?.manifest).has(window)
}

function without(all: ReadonlySet<string>, ...others: readonly ReadonlySet<string>[]): string[] {
  return [...all].filter((window) => !others.some((other) => other.has(window)))
}
