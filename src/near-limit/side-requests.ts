// Distinguishes a conversation that shrank from side requests under the same name (a title, tags). A side request is never continued by
// the next one. The state is local to this process and holds hashes only.

import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { JsonValue } from '../base/json.ts'

/** Sessions whose small requests are remembered. */
const MAX_SESSIONS = 10_000
/** Newest requests per session: an app may send several side requests per turn. */
const PER_SESSION = 8

interface SmallRequest {
  readonly messages: number
  readonly digest: string
}

/** Remembers the newest small requests of each session. */
export class SideRequestDetector {
  readonly #requests = new LRUCache<string, readonly SmallRequest[]>({ max: MAX_SESSIONS })

  /** Records a small request by its messages. Returns whether it continues another small request, so that the conversation itself has shrunk. */
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
