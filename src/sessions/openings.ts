// Recognizes first turns that are sent again (a regeneration, or an SDK's retry). They contain no reply to recognize, and strangers may
// send the same words. If a known client's own conversation id comes with the same words, it is the same session.

import { SingleFlight } from '../base/single-flight.ts'
import type { ReplyBoundary } from '../identity/chain.ts'
import type { LiveSession } from './live-session.ts'
import type { SessionOwner } from './new-sessions.ts'
import type { PrefixMatch } from './prefix-search.ts'

export interface OpeningsParts {
  /** Finds the session with this opening. Throws what the store throws. */
  readonly find: (tenant: string, opening: ReplyBoundary) => Promise<PrefixMatch | undefined>
  readonly make: (owner: SessionOwner) => Promise<LiveSession>
  /** Makes the opening lead to the session before its first answer is delivered. */
  readonly note: (opening: ReplyBoundary, session: LiveSession) => void
}

export interface Opened {
  readonly session: LiveSession
  readonly isNew: boolean
  /** Whether the store was unavailable, so that an existing session may have been missed. */
  readonly unsure: boolean
}

export class Openings {
  readonly #parts: OpeningsParts
  /** Searches by opening, so that concurrent copies of one first turn share a session. */
  readonly #searches = new SingleFlight<Opened>()

  constructor(parts: OpeningsParts) {
    this.#parts = parts
  }

  /**
   * The session of a first turn. Creates one if there is none, if two sessions share the opening, or if the session was bound to a window
   * since.
   */
  sessionOf(owner: SessionOwner, opening: ReplyBoundary): Promise<Opened> {
    const { digest } = opening
    const running = this.#searches.current(digest)
    if (running !== undefined) return running.then((opened) => ({ ...opened, isNew: false }))
    return this.#searches.run(digest, () => this.#open(owner, opening))
  }

  async #open(owner: SessionOwner, opening: ReplyBoundary): Promise<Opened> {
    const match = await this.#parts.find(owner.tenant, opening)
    if (match?.kind === 'one' && match.session.record.baseWindow === undefined) {
      return { session: match.session, isNew: false, unsure: false }
    }
    const session = await this.#parts.make(owner)
    if (match === undefined && !session.temporary) this.#parts.note(opening, session)
    return { session, isNew: true, unsure: match?.kind === 'unknown' }
  }
}
