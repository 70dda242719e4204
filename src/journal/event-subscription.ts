// One subscription to events. It reads the store page by page from its cursor, only when the caller asks for the next page, so that a slow
// client holds no more than one page.

import { toCwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { Store } from '../store/store.ts'
import type { EventPage } from '../store/store-values.ts'

const PAGE = 100
/** The store is read at least this often, because a change notification from another proxy may be lost. */
const POLL_MS = 15_000
/** The same, while the store is unavailable. */
const RETRY_MS = 1_000

export class EventSubscription {
  /** Whose events; undefined for all tenants. */
  readonly tenant: string | undefined
  readonly #store: Pick<Store, 'eventIdNow' | 'listEvents'>
  readonly #log: Logger
  #cursor = ''
  /** Whether the store may hold unread events. */
  #hasNews = true
  #storeFailed = false
  #ended = false
  #wake = () => {}

  constructor(store: Pick<Store, 'eventIdNow' | 'listEvents'>, tenant: string | undefined, log: Logger) {
    this.#store = store
    this.tenant = tenant
    this.#log = log
  }

  /** The id after which the next page starts. */
  get cursor(): string {
    return this.#cursor
  }

  /** Sets the cursor to the given id, or to the newest event. */
  async startAfter(after: string | undefined): Promise<void> {
    this.#cursor = after ?? (await this.#store.eventIdNow())
  }

  /**
   * The next events, as soon as there are any. An empty page after 15 seconds without events, or if the store is unavailable, so that the
   * caller can send a keep-alive. Undefined once the subscription has ended. Calls must not overlap.
   */
  async next(): Promise<EventPage | undefined> {
    if (!this.#hasNews) await this.#waitForNews()
    if (this.#ended) return undefined
    this.#hasNews = false // Cleared before the read, so that an event stored during it counts as news.
    try {
      const page = await this.#store.listEvents(this.tenant, this.#cursor, PAGE)
      this.#cursor = page.cursor
      this.#storeFailed = false
      if (page.events.length === PAGE) this.#hasNews = true
      return page
    } catch (thrown) {
      if (!this.#storeFailed)
        this.#log.warn({ err: toCwmError(thrown) }, 'cannot read events from the store; retrying every second')
      this.#storeFailed = true
      return { events: [], missed: false, cursor: this.#cursor }
    }
  }

  get hasEnded(): boolean {
    return this.#ended
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
