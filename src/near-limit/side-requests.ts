// Tells a conversation that has become smaller from what is asked beside it under the same name (a title, tags): that is no conversation,
// so its next request does not go on from it. In this process alone, as hashes.

import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { JsonValue } from '../base/json.ts'

/** Sessions of which small turns are remembered. */
const MAX_SESSIONS = 10_000
/** Of each, the newest: an app may ask for several things beside a turn. */
const PER_SESSION = 8

interface SmallRequest {
  readonly messages: number
  readonly digest: string
}

/** The smaller turns of sessions, newest few of each. */
export class SideRequestDetector {
  readonly #requests = new LRUCache<string, readonly SmallRequest[]>({ max: MAX_SESSIONS })

  /** Notes a small turn of that session by the messages of its request; answers whether it goes on from another one. */
  isContinuation(session: string, messages: readonly JsonValue[]): boolean {
    const others = this.#requests.get(session) ?? []
    const own = { messages: messages.length, digest: digestOf(messages) }
    this.#requests.set(session, [own, ...others.filter(({ digest }) => digest !== own.digest)].slice(0, PER_SESSION))
    return others.some(
      (other) => other.messages < messages.length && other.digest === digestOf(messages.slice(0, other.messages)),
    )
  }

  forget(session: string): void {
    this.#requests.delete(session)
  }
}

function digestOf(messages: readonly JsonValue[]): string {
  return createHash('sha256').update(JSON.stringify(messages)).digest('base64url')
}
