// Creates windows without freezing a session: clones, windows from given messages, and imported windows. They are verified like any freeze:
// ids from the engine, pin, warm call, lookup.

import { CwmError } from '../base/errors.ts'
import type { Prompt, Sharing, WindowRecord } from '../base/records.ts'
import { rulesOf } from '../dialects/index.ts'
import { checkCutPoint, lastReplyAt } from './exchanges.ts'
import type { ExportedWindow } from './export.ts'
import { commonPrefix } from './frozen-ids.ts'
import type { Labels } from './new-window.ts'
import type { OperationOptions } from './operation-audit.ts'
import type { Windows } from './windows.ts'

export interface CloneRequest extends Labels {
  readonly tenant: string
  /** Name of the window to clone. */
  readonly source: string
  readonly name: string
  /** How many of its messages; absent means all. */
  readonly at?: number | undefined
}

/**
 * A new name for a window, or for its first messages. The clone stays in the lineage, so the common prefix is shared and not recomputed.
 * Throws what `Windows.create` throws, `INVALID_FIELD` for a cut within an exchange, and what `requireFrozen` throws for the source.
 */
export async function cloneWindow(
  windows: Windows,
  request: CloneRequest,
  options: OperationOptions,
): Promise<WindowRecord> {
  const { tenant, source, name, at, tags, note } = request
  const prepare = async () => {
    const { record, prompt } = await windows.requireFrozen(tenant, source)
    const rules = rulesOf(record.dialect)
    if (at !== undefined) checkCutPoint(prompt, at, rules)
    const whole = at === undefined || at === prompt.messages.length
    const messages = whole ? prompt.messages : prompt.messages.slice(0, at)
    return {
      sessionId: record.sessionId,
      lineage: record.lineage,
      shared: record.shared,
      parent: source,
      clientSalt: record.clientSalt,
      tags: tags ?? record.tags,
      ...((note ?? record.note) === undefined ? {} : { note: note ?? record.note }),
      prompt: { ...prompt, messages },
      replyAt: whole ? record.replyAt : lastReplyAt({ messages }, rules),
      promptTokens: whole ? record.promptTokens : undefined,
      textFrom: whole ? record.textFrom : undefined,
    }
  }
  return await windows.create({ tenant, name, origin: 'clone' }, prepare, options)
}

export interface CreateRequest extends Labels {
  readonly tenant: string
  readonly name: string
  readonly prompt: Prompt
  readonly clientSalt: string | undefined
  readonly lineage: string
  readonly shared: Sharing | undefined
}

/** A window from messages that a client sent: loaded once, then thawed into any number of sessions. Throws what `Windows.create` and `checkFits` throw. */
export async function createWindow(
  windows: Windows,
  request: CreateRequest,
  options: OperationOptions,
): Promise<WindowRecord> {
  const { tenant, name, prompt, ...rest } = request
  const prepare = async () => {
    await windows.checkFits(prompt, options)
    return {
      ...rest,
      sessionId: undefined,
      parent: undefined,
      prompt,
      replyAt: lastReplyAt(prompt, rulesOf(prompt.dialect)),
      promptTokens: undefined,
    }
  }
  return await windows.create({ tenant, name, origin: 'content' }, prepare, options)
}

export interface ImportRequest extends Labels {
  readonly tenant: string
  readonly name: string
  readonly file: ExportedWindow
  readonly lineage: string
  readonly shared: Sharing | undefined
}

/** The result of an import: the window, and whether its ids match the file's. */
export interface ImportResult {
  readonly record: WindowRecord
  /** This engine's template or tokenizer produces other ids than the file's. Null if the file has none, or none could be obtained. */
  readonly drift: boolean | null
}

/** A window from an exported file, rebuilt by this engine under a new lineage and compared with the file. Throws what `Windows.create` and `checkFits` throw. */
export async function importWindow(
  windows: Windows,
  request: ImportRequest,
  options: OperationOptions,
): Promise<ImportResult> {
  const { tenant, name, file, lineage, shared, tags, note } = request
  const labelled = note ?? file.note
  const prepare = async () => {
    await windows.checkFits(file.prompt, options)
    return {
      sessionId: undefined,
      lineage,
      shared,
      parent: undefined,
      clientSalt: undefined,
      tags: tags ?? file.tags,
      ...(labelled === undefined ? {} : { note: labelled }),
      prompt: file.prompt,
      replyAt: file.replyAt,
      // The old prompt size was counted by another engine. This engine's template is compared by ids, below.
      promptTokens: undefined,
    }
  }
  const record = await windows.create({ tenant, name, origin: 'import' }, prepare, options)
  if (record.state !== 'frozen' || file.tokenIds.length === 0 || (record.receipt?.tokens ?? 0) === 0) {
    return { record, drift: null }
  }
  const { tokenIds } = await windows.requireFrozen(tenant, name)
  const drift = tokenIds.length !== file.tokenIds.length || commonPrefix(tokenIds, file.tokenIds) !== tokenIds.length
  return { record, drift }
}

/** Throws `INVALID_FIELD` for a prompt that cannot become a window. */
export function checkContent(prompt: Prompt): void {
  if (prompt.model === '') throw new CwmError('INVALID_FIELD', '`model` is missing', { param: 'model' })
  if (prompt.messages.length === 0) {
    throw new CwmError('INVALID_FIELD', 'send `messages` or a `document`: a window needs at least one message', {
      param: 'messages',
    })
  }
}
