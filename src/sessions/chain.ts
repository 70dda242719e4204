// The chain over a history: one running SHA-256 over scope and canonical messages, its digest taken where a reply ends.

import { createHash, type Hash } from 'node:crypto'
import type { JsonValue } from '../base/json.ts'
import type { CanonicalMessage } from '../dialects/dialect.ts'

/** How many of the newest places where a reply ends are looked at: enough for the edit or the regeneration of a late turn. */
const MAX_CANDIDATES = 8

export interface ChainCandidate {
  readonly digest: string
  /** How many messages stand up to and with this boundary. */
  readonly messages: number
}

/** The state after a whole request, to which the reply is added later. */
export class Chain {
  readonly #state: Hash
  readonly #canonical: (message: JsonValue) => CanonicalMessage
  /** Newest first. */
  readonly candidates: readonly ChainCandidate[]

  constructor(state: Hash, candidates: readonly ChainCandidate[], canonical: (message: JsonValue) => CanonicalMessage) {
    this.#state = state
    this.candidates = candidates
    this.#canonical = canonical
  }

  /** The boundary over the request's messages and this reply; undefined when the reply holds nothing that identifies it. */
  boundary(reply: readonly JsonValue[]): string | undefined {
    const state = this.#state.copy()
    let any = false
    for (const message of reply) {
      const { text } = this.#canonical(message)
      if (text === undefined) continue
      state.update(frameOne(text))
      any = true
    }
    return any ? state.digest('base64url') : undefined
  }
}

/**
 * The mark that a boundary's session stands behind a window: the client's own words are not all of its prompt. Kept beside the
 * boundary, so that an ambiguous one can be told from one that would silently lose a window.
 */
export function behindWindowMark(boundary: string): string {
  return createHash('sha256').update(`behind-window:${boundary}`).digest('base64url')
}

/** The texts one after the other, each with its length before it. Joined once: the strings of a long history are copied once. */
function frameAll(texts: readonly string[]): string {
  const framed: string[] = []
  for (const text of texts) framed.push(`m${text.length}:`, text)
  const joined = framed.join('')
  return joined.isWellFormed() ? joined : texts.map(frameOne).join('')
}

/** Lone surrogates are all one character in UTF-8, which is what is hashed: text that has them goes in escaped. */
function frameOne(text: string): string {
  if (text.isWellFormed()) return `m${text.length}:${text}`
  const escaped = JSON.stringify(text)
  return `s${escaped.length}:${escaped}`
}

/**
 * Hashes a history once. A boundary can stand after a message of the model that another's message, or nothing, follows. What lies between
 * two boundaries that are looked at goes into the hash at once: of 400 messages the last few are told apart, the rest is one text.
 */
export function chainOf(
  scope: string,
  messages: readonly JsonValue[],
  canonical: (message: JsonValue) => CanonicalMessage,
): Chain {
  const texts = [scope]
  /** Where replies end: how many of `texts`, and of the messages, stand up to there. */
  const ends: { texts: number; messages: number }[] = []
  let reply: { texts: number; messages: number } | undefined
  for (const [index, message] of messages.entries()) {
    const { text, fromModel } = canonical(message)
    if (text === undefined) continue
    if (reply !== undefined && !fromModel) ends.push(reply)
    texts.push(text)
    reply = fromModel ? { texts: texts.length, messages: index + 1 } : undefined
  }
  if (reply !== undefined) ends.push(reply)
  const state = createHash('sha256')
  const candidates: ChainCandidate[] = []
  let hashed = 0
  for (const end of ends.slice(-MAX_CANDIDATES)) {
    state.update(frameAll(texts.slice(hashed, end.texts)))
    hashed = end.texts
    candidates.unshift({ digest: state.copy().digest('base64url'), messages: end.messages })
  }
  return new Chain(state.update(frameAll(texts.slice(hashed))), candidates, canonical)
}
