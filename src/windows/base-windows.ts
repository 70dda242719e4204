// Base windows: the windows whose messages precede the turns of bound sessions. Read once, then cached within a bound.

import { LRUCache } from 'lru-cache'
import { CwmError } from '../base/errors.ts'
import type { JsonValue } from '../base/json.ts'
import type { Prompt, ThawReceipt, WindowRecord } from '../base/records.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { rulesOf } from '../dialects/index.ts'
import type { Store } from '../store/store.ts'
import { checksumOf } from './checksum.ts'

/** A frozen window, ready to be prepended to a request. */
export interface BaseWindow {
  readonly record: WindowRecord
  /** It was deleted: only the sessions based on it still have it. */
  readonly isDeleted: boolean
  readonly prompt: Prompt
  readonly tokenIds: Uint32Array
  /** Canonical text of each message, from `canonical`; the outer system prompt is separate. */
  readonly texts: readonly (string | undefined)[]
  readonly outerSystem: string | undefined
  /** JSON of each message, as inserted into a body. */
  readonly json: readonly string[]
}

export class BaseWindows {
  readonly #store: Store
  readonly #ready: LRUCache<string, BaseWindow>

  constructor(store: Store, maxBytes: number) {
    this.#store = store
    this.#ready = new LRUCache({
      maxSize: maxBytes,
      // Messages as values and as JSON, their canonical texts, and the ids.
      sizeCalculation: (base) =>
        4 * base.json.reduce((sum, json) => sum + json.length, 0) + base.tokenIds.byteLength + 1024,
    })
  }

  /**
   * Returns the frozen window of that name. With `id`, returns the base window of a session with that id, even if it was deleted or its name
   * now belongs to another window. Throws `WINDOW_NOT_FOUND` (also for another tenant's window), `WINDOW_NOT_READY` while freezing,
   * `WINDOW_FAILED` after a failed freeze, `WINDOW_CORRUPT` if its checksum does not match.
   */
  async require(tenant: string, name: string, id?: string): Promise<BaseWindow> {
    const live = await this.#store.getWindow(tenant, name)
    const isDeleted = id !== undefined && live?.id !== id
    const record = isDeleted ? (await this.#store.getHeldWindow(tenant, id))?.window : live
    if (record === undefined) throw isDeleted ? baseWindowGone(name) : windowNotFound(name)
    if (record.state !== 'frozen') {
      const code = record.state === 'freezing' ? 'WINDOW_NOT_READY' : 'WINDOW_FAILED'
      const why = record.state === 'freezing' ? 'is still being frozen' : `could not be frozen: ${record.reason ?? ''}`
      throw new CwmError(code, `window ${name} ${why}`, { param: 'name' })
    }
    const ready = this.#ready.get(record.id)
    if (ready !== undefined) return { ...ready, record, isDeleted }
    const content = await this.#store.getWindowContent(tenant, name, record.id)
    if (content === undefined) throw windowNotFound(name)
    if (checksumOf(content) !== record.checksum) {
      throw new CwmError(
        'WINDOW_CORRUPT',
        `window ${name} does not match its checksum; its content was changed or damaged`,
      )
    }
    const base = build(record, content.prompt, content.tokenIds, rulesOf(record.dialect))
    this.#ready.set(record.id, base)
    return { ...base, isDeleted }
  }
}

/** Exact size of all messages of a window, tokens; 0 unless its ids cover all of them and its thaw has shown no drift. */
export function exactTokens({ record, tokenIds }: BaseWindow, thaw: ThawReceipt | undefined): number {
  const isProved = record.receipt?.whole === true && thaw?.window === record.name && !thaw.drift
  return isProved ? tokenIds.length : 0
}

export function windowNotFound(name: string): CwmError {
  return new CwmError('WINDOW_NOT_FOUND', `there is no window ${name} under this key`, { param: 'name' })
}

function baseWindowGone(name: string): CwmError {
  return new CwmError(
    'WINDOW_NOT_FOUND',
    `window ${name}, the base window of this session, was deleted; thaw another window into the session, or start a new session`,
    { param: 'name' },
  )
}

function build(record: WindowRecord, prompt: Prompt, tokenIds: Uint32Array, rules: DialectRules): BaseWindow {
  const outer = rules.outerSystem(prompt.shaping)
  return {
    record,
    isDeleted: false,
    prompt,
    tokenIds,
    texts: prompt.messages.map((message: JsonValue) => rules.canonical(message).text),
    outerSystem: outer === undefined ? undefined : rules.canonical(outer).text,
    json: prompt.messages.map((message: JsonValue) => JSON.stringify(message)),
  }
}
