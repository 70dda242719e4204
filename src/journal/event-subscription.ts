// One listener to events: reads the store page by page behind its place, when there is news and when it is asked, so that a slow one holds
// a page and no more.

import { toCwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { EventPage, Store } from '../store/store.ts'

const PAGE = 100
/** How long to wait for news. News of another proxy may be lost, so the store is looked at then in any case. */
const QUIET_MS = 15_000
/** The same while the store does not answer. */
const AWAY_MS = 1_000

export class Listening {
  /** Whose events; undefined: everybody's. */
  readonly tenant: string | undefined
  readonly #store: Pick<Store, 'eventIdNow' | 'listEvents'>
  readonly #log: Logger
  #cursor = ''
  /** Something may be there that was not read. */
  #news = true
  #away = false
  #ended = false
  #wake = () => {}

  constructor(store: Pick<Store, 'eventIdNow' | 'listEvents'>, tenant: string | undefined, log: Logger) {
    this.#store = store
    this.tenant = tenant
    this.#log = log
  }

  /** The id behind which the next page begins. */
  get cursor(): string {
    return this.#cursor
  }

  /** Sets the place: behind that id, or now. */
  async beginBehind(after: string | undefined): Promise<void> {
    this.#cursor = after ?? (await this.#store.eventIdNow())
  }

  /**
   * The next events, as soon as there are any; none when nothing came for 15 seconds or the store does not answer, so that the caller can
   * show that he is alive. Undefined once it has ended. Asked for one page at a time.
   */
  async next(): Promise<EventPage | undefined> {
    if (!this.#news) await this.#newsOrTime()
    if (this.#ended) return undefined
    this.#news = false // what is stored from here on wakes again
    try {
      const page = await this.#store.listEvents(this.tenant, this.#cursor, PAGE)
      this.#cursor = page.cursor
      this.#away = false
      if (page.events.length === PAGE) this.#news = true
      return page
    } catch (thrown) {
      if (!this.#away) this.#log.warn({ err: toCwmError(thrown) }, 'events cannot be read; tried again each second')
      this.#away = true
      return { events: [], missed: false, cursor: this.#cursor }
    }
  }

  wake(): void {
    this.#news = true
    this.#wake()
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  async #newsOrTime(): Promise<void> {
    if (this.#ended) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      timer = setTimeout(resolve, this.#away ? AWAY_MS : QUIET_MS)
    })
    clearTimeout(timer)
  }
}
