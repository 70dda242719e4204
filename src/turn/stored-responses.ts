// Which session a stored response belongs to. The engine returns it to anyone who knows its id, so cwm checks here first.

import { CwmError } from '../base/errors.ts'
import type { LiveSession } from '../sessions/live-session.ts'
import type { SessionTracker } from '../sessions/tracker.ts'

const ID = /^[A-Za-z0-9_-]{1,128}$/

export class StoredResponses {
  readonly #sessions: Pick<SessionTracker, 'byResponse'>
  /** Responses of turns in progress: a client may request one before the store has it. */
  readonly #announced = new Map<string, LiveSession>()

  constructor(sessions: Pick<SessionTracker, 'byResponse'>) {
    this.#sessions = sessions
  }

  /** Makes an id lead to its session at once. Each call needs a `settle`. Ids that no path can contain are ignored. */
  announce(session: LiveSession, responseId: string): void {
    if (ID.test(responseId)) this.#announced.set(keyOf(session.record.tenant, responseId), session)
  }

  /** The store has the id, or the answer never reached the client. */
  settle(session: LiveSession, responseId: string): void {
    this.#announced.delete(keyOf(session.record.tenant, responseId))
  }

  /**
   * The session of a response. Throws `STORE_UNAVAILABLE`, and `RESPONSE_NOT_FOUND` with vLLM's wording, which is the same for unknown
   * ids, expired ones, and those of another tenant.
   */
  async require(tenant: string, responseId: string): Promise<LiveSession> {
    if (ID.test(responseId)) {
      const session =
        this.#announced.get(keyOf(tenant, responseId)) ?? (await this.#sessions.byResponse(tenant, responseId))
      if (session !== undefined && !session.ended) return session
    }
    throw new CwmError('RESPONSE_NOT_FOUND', `Response with id '${responseId.slice(0, 128)}' not found.`, {
      param: 'response_id',
    })
  }
}

function keyOf(tenant: string, responseId: string): string {
  return JSON.stringify([tenant, responseId])
}
