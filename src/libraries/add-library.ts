// Creates a library from texts: cuts them, checks the quotas for all new windows, and stores the build that freezes them.

import { CwmError } from '../base/errors.ts'
import { isLibraryName, libraryNameRule, randomId } from '../base/ids.ts'
import { inParallel } from '../base/in-parallel.ts'
import type { LibraryManifest, LibraryPart, LibraryRecord } from '../base/library-records.ts'
import type { Prompt } from '../base/records.ts'
import type { TenantPolicy } from '../base/tenants.ts'
import type { CallOptions } from '../engines/engine.ts'
import { bytesOf } from '../windows/checksum.ts'
import { sortedTags } from '../windows/new-window.ts'
import type { OperationOptions } from '../windows/operation-audit.ts'
import { beingDeleted, libraryChanged } from './delete-library.ts'
import { withBuild } from './library-changes.ts'
import { checkRoom } from './library-quota.ts'
import type { CutPart, GivenText } from './part-cutter.ts'
import { libraryTag, partName, partPrompt, textOfPart } from './part-prompt.ts'
import type { LibraryParts } from './parts.ts'
import { invalidField, type WindowFrame, windowFrame } from './window-frame.ts'

export interface LibraryRequest {
  readonly tenant: string
  readonly policy: TenantPolicy
  readonly name: string
  /** Undefined: the library's current model, or the only one that the engine serves. */
  readonly model: string | undefined
  readonly texts: readonly GivenText[]
  /** Undefined: the library's current number; for a new library 4,096, or what the context limit allows. */
  readonly tokensPerWindow: number | undefined
  readonly tags: readonly string[]
}

/** A window that a library is to have. */
interface NewPart extends LibraryPart {
  readonly prompt: Prompt
}

const MAX_TEXTS = 1_000
/** Cutting this many blocks the event loop for about 150 ms. */
const MAX_CHARACTERS = 8 * 1024 * 1024
/** A record lists all of them. */
const MAX_PARTS = 4_000
const MAX_LIBRARIES = 1_000
const READS_AT_ONCE = 8

/**
 * Returns the record with the new build, or the unchanged record if nothing changes. Throws `INVALID_FIELD`, `FORBIDDEN_MODEL`, `QUOTA_EXCEEDED`,
 * `PIN_BUDGET_FULL`, `LIBRARY_CHANGED`, what the engine throws while texts are cut, and what the store throws. Nothing is stored then.
 */
export async function putTexts(
  parts: LibraryParts,
  request: LibraryRequest,
  options: OperationOptions,
): Promise<LibraryRecord> {
  const { store, now } = parts
  const { tenant, name } = request
  checkTexts(request)
  const before = await store.getLibrary(tenant, name)
  if (before?.deleted === true) throw beingDeleted(name)
  const frame = await windowFrame(parts, request, before, options)
  await checkCount(parts, request, before)
  const cut = await cutAll(parts, request, frame, before, options)
  const manifest: LibraryManifest = {
    ...frame,
    titles: request.texts.map(({ title }) => title),
    parts: cut.map(({ window, tokens, text }) => ({ window, tokens, text })),
    tags: sortedTags(request.tags),
  }
  const { missing, untagged } = await checkParts(parts, request, cut, before)
  if (before !== undefined && isSame(before, manifest, missing.length + untagged.length)) return before
  checkRoom(request.policy, await store.usageOf(tenant), sizeOf(missing), parts.kv.expects.pin)
  const build = { id: randomId(), manifest, actor: options.actor, startedAt: now() }
  const record = withBuild(before, request, build)
  const pending = missing.map(({ window, prompt }) => ({ window, prompt }))
  if (!(await store.putLibrary(record, pending))) throw libraryChanged(name)
  return record
}

function checkTexts({ name, texts }: LibraryRequest): void {
  if (!isLibraryName(name)) throw invalidField('name', `must be ${libraryNameRule}`)
  if (texts.length > MAX_TEXTS) throw invalidField('texts', `${texts.length} texts; at most ${MAX_TEXTS} are allowed`)
  const characters = texts.reduce((sum, { text }) => sum + text.length, 0)
  if (characters > MAX_CHARACTERS) {
    throw invalidField(
      'texts',
      `${characters} characters; at most ${MAX_CHARACTERS} are allowed: use several libraries`,
    )
  }
  const empty = texts.findIndex(({ text }) => text.trim() === '')
  if (empty >= 0) throw invalidField(`texts.${empty}.text`, 'the text is empty')
}

async function checkCount(
  { store }: LibraryParts,
  { tenant }: LibraryRequest,
  before: LibraryRecord | undefined,
): Promise<void> {
  if (before !== undefined || (await store.countLibraries(tenant)) < MAX_LIBRARIES) return
  throw new CwmError('QUOTA_EXCEEDED', `this tenant has ${MAX_LIBRARIES} libraries, which is the limit; delete some`, {
    param: 'name',
  })
}

/** The parts of all texts. Those of the library so far stay where the text is unchanged. */
async function cutAll(
  parts: LibraryParts,
  { tenant, name, texts }: LibraryRequest,
  frame: WindowFrame,
  before: LibraryRecord | undefined,
  options: CallOptions,
): Promise<NewPart[]> {
  const { model, tokensPerWindow } = frame
  const all: NewPart[] = []
  const keptOf = await readKept(parts, tenant, frame, before)
  for (const [text, given] of texts.entries()) {
    const kept = keptOf.get(given.title) ?? []
    for (const part of await parts.cutter.cut(given, { ...frame, kept }, options)) {
      // Blank lines alone need no window. They are still part of the text, so they do not change how it is cut.
      if (part.text.trim() === '') continue
      const prompt = partPrompt(model, given.title, part.text)
      all.push({ window: partName(name, prompt, parts.nameKey), tokens: part.tokens, text, prompt })
    }
    if (all.length > MAX_PARTS) throw tooManyParts(tokensPerWindow)
  }
  return all
}

/** The parts of the library so far, by the title of their text, if its windows are cut by the same rules. */
async function readKept(
  { store }: LibraryParts,
  tenant: string,
  { model, tokensPerWindow }: WindowFrame,
  before: LibraryRecord | undefined,
): Promise<ReadonlyMap<string, readonly CutPart[]>> {
  const kept = new Map<string, CutPart[]>()
  const manifest = before?.manifest
  if (manifest?.model !== model || manifest.tokensPerWindow !== tokensPerWindow) return kept
  const contents = await inParallel(manifest.parts, READS_AT_ONCE, async ({ window }) => {
    const record = await store.getWindow(tenant, window)
    return record && (await store.getWindowContent(tenant, window, record.id))
  })
  for (const [n, { text, tokens }] of manifest.parts.entries()) {
    const title = manifest.titles[text] ?? ''
    const prompt = contents[n]?.prompt
    const partText = prompt && textOfPart(prompt, title)
    if (partText !== undefined) kept.set(title, [...(kept.get(title) ?? []), { text: partText, tokens }])
  }
  return kept
}

/**
 * `missing`: those that are not frozen yet, each once; a window that is about to be deleted counts as missing. `untagged`: those that somebody
 * has taken out of the library by changing their tags.
 */
async function checkParts(
  { store }: LibraryParts,
  { tenant, name }: LibraryRequest,
  cut: readonly NewPart[],
  before: LibraryRecord | undefined,
): Promise<{ readonly missing: readonly NewPart[]; readonly untagged: readonly NewPart[] }> {
  const stale = new Set(before?.stale)
  const distinct = [...new Map(cut.map((part) => [part.window, part])).values()]
  const [missing, untagged]: [NewPart[], NewPart[]] = [[], []]
  await inParallel(distinct, READS_AT_ONCE, async (part) => {
    const record = stale.has(part.window) ? undefined : await store.getWindow(tenant, part.window)
    if (record?.state !== 'frozen') missing.push(part)
    else if (!record.tags.includes(libraryTag(name))) untagged.push(part)
  })
  return { missing, untagged }
}

/** Whether the library already is, or is becoming, what was asked for. */
function isSame(before: LibraryRecord, manifest: LibraryManifest, toDo: number): boolean {
  const { build } = before
  const isEqual = (other: LibraryManifest | undefined) => JSON.stringify(other) === JSON.stringify(manifest)
  if (build !== undefined) return build.failure === undefined && isEqual(build.manifest)
  return toDo === 0 && isEqual(before.manifest)
}

function sizeOf(missing: readonly NewPart[]) {
  const tokens = missing.reduce((sum, part) => sum + part.tokens, 0)
  const prompts = missing.reduce((sum, { prompt }) => sum + bytesOf({ prompt, tokenIds: new Uint32Array() }), 0)
  return { windows: missing.length, tokens, bytes: prompts + tokens * Uint32Array.BYTES_PER_ELEMENT }
}

function tooManyParts(tokensPerWindow: number): CwmError {
  return invalidField(
    'texts',
    `more than ${MAX_PARTS} windows of ${tokensPerWindow} tokens; raise tokens_per_window or use several libraries`,
  )
}
