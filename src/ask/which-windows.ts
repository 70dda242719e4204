// Which windows a question goes to. Everything is read within the tenant, so another tenant's windows are as absent as unknown names.

import { CwmError, clientGone } from '../base/errors.ts'
import { hiddenWindowsOf, LIBRARY_TAG_PREFIX, type LibraryRecord } from '../base/library-records.ts'
import type { WindowRecord } from '../base/records.ts'
import type { Store } from '../store/store.ts'
import type { WindowChoice } from './many-question.ts'

/** Most windows of one question. */
export const MAX_ASKED_WINDOWS = 1_000
const PAGE = 200

/** One window of a question. */
export interface Target {
  readonly name: string
  /** Undefined if there is none of that name yet: asking it says why. */
  readonly record: WindowRecord | undefined
}

type WindowStore = Pick<Store, 'getWindow' | 'listWindows' | 'getLibrary'>
type Matching = Exclude<WindowChoice, { names: unknown }>

const NONE: ReadonlySet<string> = new Set()
/** Of listing the windows of a library that changes meanwhile. */
const MAX_TRIES = 5

/**
 * The windows of a question: of given names, each once; of a tag or search, the frozen ones, sorted by name. While a library is replaced, its
 * tag stands for all of its old windows or all of its new ones. Throws `WINDOW_NOT_FOUND` if nothing matches a tag or search, `INVALID_FIELD`
 * if more than `MAX_ASKED_WINDOWS` match, and `CLIENT_GONE`.
 */
export async function findWindows(
  store: WindowStore,
  tenant: string,
  choice: WindowChoice,
  signal: AbortSignal,
): Promise<readonly Target[]> {
  if (!('names' in choice)) return await matching(store, tenant, choice, signal)
  const names = [...new Set(choice.names)]
  if (names.length > MAX_ASKED_WINDOWS) throw tooMany('windows.names')
  const targets: Target[] = []
  for (const name of names) {
    checkPresent(signal)
    targets.push({ name, record: await store.getWindow(tenant, name) })
  }
  return targets
}

async function matching(
  store: WindowStore,
  tenant: string,
  choice: Matching,
  signal: AbortSignal,
): Promise<readonly Target[]> {
  for (let tries = 1; ; tries++) {
    const library = await libraryUnder(store, tenant, choice.tag)
    const targets = await list(store, tenant, choice, library, signal)
    const current = await libraryUnder(store, tenant, choice.tag)
    // If it was replaced meanwhile, some old windows may have been deleted before they were listed.
    if (current?.revision !== library?.revision && tries < MAX_TRIES) continue
    if (targets.length === 0) throw nothingMatches(choice.tag, choice.search)
    return targets
  }
}

async function list(
  store: WindowStore,
  tenant: string,
  { tag, search }: Matching,
  library: LibraryRecord | undefined,
  signal: AbortSignal,
): Promise<readonly Target[]> {
  const query = {
    limit: PAGE,
    state: 'frozen',
    sort: 'name',
    order: 'asc',
    ...(tag === undefined ? {} : { tags: [tag] }),
    ...(search === undefined ? {} : { text: search }),
  } as const
  // Windows get their library's tag one by one, and its record changes at once. So the record decides.
  const hidden = library === undefined ? NONE : hiddenWindowsOf(library)
  const targets: Target[] = []
  let cursor: string | undefined
  do {
    checkPresent(signal)
    const page = await store.listWindows(tenant, { ...query, ...(cursor === undefined ? {} : { cursor }) })
    for (const record of page.items) if (!hidden.has(record.name)) targets.push({ name: record.name, record })
    if (targets.length > MAX_ASKED_WINDOWS) throw tooMany('windows')
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return targets
}

/** The library whose tag this is. */
async function libraryUnder(store: WindowStore, tenant: string, tag: string | undefined) {
  if (tag === undefined || !tag.startsWith(LIBRARY_TAG_PREFIX)) return undefined
  return await store.getLibrary(tenant, tag.slice(LIBRARY_TAG_PREFIX.length))
}

function checkPresent(signal: AbortSignal): void {
  if (signal.aborted) throw clientGone('its windows were found')
}

function tooMany(param: string): CwmError {
  return new CwmError(
    'INVALID_FIELD',
    `more than ${MAX_ASKED_WINDOWS} windows match, the most that one question may go to; choose fewer by names, tag, or search`,
    { param },
  )
}

function nothingMatches(tag: string | undefined, search: string | undefined): CwmError {
  const conditions = [
    tag === undefined ? [] : [`the tag ${tag}`],
    search === undefined ? [] : [`${search} in its name`],
  ]
  const which = conditions.flat().join(' and ')
  return new CwmError('WINDOW_NOT_FOUND', `no frozen window under this key has ${which}`, { param: 'windows' })
}
