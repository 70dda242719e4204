// First turns that are sent again (a regeneration, an SDK's own retry): no reply tells whose they are, and strangers share words. Where a
// known client's own conversation id stands beside the same words, it is the same session.

import type { ReplyBoundary } from './chain.ts'
import type { LiveSession } from './live-session.ts'
import type { Opener } from './new-sessions.ts'
import type { PrefixMatch } from './prefix-search.ts'

export interface OpeningsParts {
  /** The session that was opened so; throws what the store throws. */
  readonly find: (tenant: string, opening: ReplyBoundary) => Promise<PrefixMatch | undefined>
  readonly make: (opener: Opener) => Promise<LiveSession>
  /** From now on the opening leads to the session, though it has had no answer yet. */
  readonly note: (opening: ReplyBoundary, session: LiveSession) => void
}

export interface Opened {
  readonly session: LiveSession
  readonly isNew: boolean
  /** Nobody could say whether there is a session that was opened so. */
  readonly unsure: boolean
}

export class Openings {
  readonly #parts: OpeningsParts
  /** First turns that look for their session just now: those that come at once are of one. Bounded by the requests in flight. */
  readonly #running = new Map<string, Promise<Opened>>()

  constructor(parts: OpeningsParts) {
    this.#parts = parts
  }

  /** The session of a first turn; made where there is none, where two were opened so, and where a window came before it since. */
  sessionOf(opener: Opener, opening: ReplyBoundary): Promise<Opened> {
    const { digest } = opening
    const running = this.#running.get(digest)
    if (running !== undefined) return running.then((opened) => ({ ...opened, isNew: false }))
    const opened = this.#open(opener, opening).finally(() => this.#running.delete(digest))
    this.#running.set(digest, opened)
    return opened
  }

  async #open(opener: Opener, opening: ReplyBoundary): Promise<Opened> {
    const match = await this.#parts.find(opener.tenant, opening)
    if (match?.kind === 'one' && match.session.record.baseWindow === undefined) {
      return { session: match.session, isNew: false, unsure: false }
    }
    const session = await this.#parts.make(opener)
    if (match === undefined && !session.temporary) this.#parts.note(opening, session)
    return { session, isNew: true, unsure: match?.kind === 'unknown' }
  }
}
