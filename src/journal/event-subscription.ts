// One listener to events: reads the store page by page behind its place, when there is news and when it is asked, so that a slow one holds
// a page and no more.

import { toCwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { EventPage, Store } from '../store/store.ts'

const PAGE = 100
/** How long to wait for news. News of another proxy may be lost, so the store is looked at then in any case. */
const POLL_MS = 15_000
/** The same while the store does not answer. */
const RETRY_MS = 1_000

export class EventSubscription {
  /** Whose events; undefined: everybody's. */
  readonly tenant: string | undefined
  readonly #store: Pick<Store, 'eventIdNow' | 'listEvents'>
  readonly #log: Logger
  #cursor = ''
  /** Something may be there that was not read. */
  #hasNews = true
  #storeFailed = false
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
  async startAfter(after: string | undefined): Promise<void> {
    this.#cursor = after ?? (await this.#store.eventIdNow())
  }

  /**
   * The next events, as soon as there are any; none when nothing came for 15 seconds or the store does not answer, so that the caller can
   * show that he is alive. Undefined once it has ended. Asked for one page at a time.
   */
  async next(): Promise<EventPage | undefined> {
    if (!this.#hasNews) await this.#waitForNews()
    if (this.#ended) return undefined
    this.#hasNews = false // what is stored from here on wakes again
    try {
      const page = await this.#store.listEvents(this.tenant, this.#cursor, PAGE)
      this.#cursor = page.cursor
      this.#storeFailed = false
      if (page.events.length === PAGE) this.#hasNews = true
      return page
    } catch (thrown) {
      if (!this.#storeFailed)
        this.#log.warn({ err: toCwmError(thrown) }, 'events cannot be read; tried again each second')
      this.#storeFailed = true
      return { events: [], missed: false, cursor: this.#cursor }
    }
  }

  wake(): void {
    this.#hasNews = true
    this.#wake()
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  async #waitForNews(): Promise<void> {
    if (this.#ended) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      timer = setTimeout(resolve, this.#storeFailed ? RETRY_MS : POLL_MS)
    })
    clearTimeout(timer)
  }
}
