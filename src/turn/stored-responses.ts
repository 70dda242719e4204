// Which session a stored response belongs to, and which engine has it. The engine returns it to anyone who knows its id, so cwm checks here
// first.

import { CwmError } from '../base/errors.ts'
import type { Engine } from '../engines/engine.ts'
import { type EngineFleet, type EngineNeed, sessionNeed } from '../engines/fleet.ts'
import type { LiveSession } from '../sessions/live-session.ts'
import type { SessionTracker } from '../sessions/tracker.ts'

const ID = /^[A-Za-z0-9_-]{1,128}$/

/** Where a stored response is. */
export interface ResponseSource {
  readonly session: LiveSession
  /** The id of the engine that stores it. Undefined if there was only one. */
  readonly engineId: string | undefined
}

/** The need of work for a stored response: only the engine that stores it can do that work. */
export function responseNeed({ session, engineId }: ResponseSource): EngineNeed {
  const need = sessionNeed(session.record)
  return engineId === undefined ? need : { ...need, engineId }
}

export class StoredResponses {
  readonly #sessions: Pick<SessionTracker, 'byResponse'>
  readonly #fleet: Pick<EngineFleet, 'members'>
  /** Responses of turns in progress: a client may request one before the store has it. */
  readonly #announced = new Map<string, ResponseSource>()

  constructor(sessions: Pick<SessionTracker, 'byResponse'>, fleet: Pick<EngineFleet, 'members'>) {
    this.#sessions = sessions
    this.#fleet = fleet
  }

  /** The id of the engine that stores a response, as it is to be remembered: undefined if there is only one engine. */
  storedAt({ id }: Pick<Engine, 'id'>): string | undefined {
    return this.#fleet.members().length > 1 ? id : undefined
  }

  /** Makes an id lead to its session at once. Each call needs a `settle`. Ids that no path can contain are ignored. */
  announce(source: ResponseSource, responseId: string): void {
    if (ID.test(responseId)) this.#announced.set(keyOf(source.session.record.tenant, responseId), source)
  }

  /** The store has the id, or the answer never reached the client. */
  settle(session: LiveSession, responseId: string): void {
    this.#announced.delete(keyOf(session.record.tenant, responseId))
  }

  /**
   * The session of a response, and its engine. Throws `STORE_UNAVAILABLE`, and `RESPONSE_NOT_FOUND` with vLLM's wording, which is the same
   * for unknown ids, expired ones, and those of another tenant. The owning tenant's error says so if the engine was removed.
   */
  async require(tenant: string, responseId: string): Promise<ResponseSource> {
    if (ID.test(responseId)) {
      const source =
        this.#announced.get(keyOf(tenant, responseId)) ?? (await this.#sessions.byResponse(tenant, responseId))
      if (source !== undefined && !source.session.ended) return this.#withEngine(source, responseId)
    }
    throw new CwmError('RESPONSE_NOT_FOUND', `Response with id '${responseId.slice(0, 128)}' not found.`, {
      param: 'response_id',
    })
  }

  #withEngine(source: ResponseSource, responseId: string): ResponseSource {
    const { engineId } = source
    if (engineId === undefined || this.#fleet.members().some(({ id }) => id === engineId)) return source
    throw new CwmError(
      'RESPONSE_NOT_FOUND',
      `Response with id '${responseId}' not found: the engine that stored it was removed; ` +
        'send the earlier items in `input` instead of `previous_response_id`.',
      { param: 'response_id' },
    )
  }
}

function keyOf(tenant: string, responseId: string): string {
  return JSON.stringify([tenant, responseId])
}
