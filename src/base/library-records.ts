// Libraries: windows made of one or several texts, under one name.

/** Of the tag that the windows of a library have. */
export const LIBRARY_TAG_PREFIX = 'library:'

/** A part of a library's texts, and the window that holds it. */
export interface LibraryPart {
  readonly window: string
  /** Of the whole window, as the engine counts it. */
  readonly tokens: number
  /** Index of its text. */
  readonly text: number
}

/** What a library consists of. */
export interface LibraryManifest {
  readonly model: string
  /** No window has more tokens. */
  readonly tokensPerWindow: number
  /** The titles of the texts, empty where one has none. */
  readonly titles: readonly string[]
  /** In the order of the texts. A part that occurs twice is listed twice. */
  readonly parts: readonly LibraryPart[]
  /** The windows have them in addition to the library's own tag. */
  readonly tags: readonly string[]
}

/** A manifest whose windows are not all frozen yet. */
export interface LibraryBuild {
  /** Random. */
  readonly id: string
  readonly manifest: LibraryManifest
  /** The key that requested it. */
  readonly actor: string
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /** Set when it was given up. */
  readonly failure?: LibraryFailure
}

export interface LibraryFailure {
  readonly window: string
  /** The window's reason, or an error of cwm. */
  readonly reason: string
}

export interface LibraryRecord {
  readonly tenant: string
  readonly name: string
  /** 1 for a new one, and higher by 1 with each change. */
  readonly revision: number
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  readonly changedAt: number
  /** Absent until the first build is done. */
  readonly manifest?: LibraryManifest
  readonly build?: LibraryBuild
  /** Windows that no manifest uses any more, and that are not known to be deleted. */
  readonly stale: readonly string[]
  /** It is being deleted: for clients it does not exist. */
  readonly deleted?: true
}

/**
 * Windows that may have the library's tag although it does not consist of them: those of a build that is not done, and those that were
 * replaced and are not deleted yet.
 */
export function hiddenWindowsOf({ manifest, build, stale }: LibraryRecord): ReadonlySet<string> {
  const hidden = new Set([...stale, ...(build?.manifest.parts.map(({ window }) => window) ?? [])])
  for (const { window } of manifest?.parts ?? []) hidden.delete(window)
  return hidden
}

/** Whether something is left to do for it in the background. */
export function isOpenLibrary({ build, stale, deleted }: LibraryRecord): boolean {
  return (build !== undefined && build.failure === undefined) || stale.length > 0 || deleted === true
}
