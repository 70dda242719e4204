// The chain over a history: one running SHA-256 over scope and canonical messages, its digest taken where a reply ends.

import { createHash, type Hash } from 'node:crypto'
import type { JsonValue } from '../base/json.ts'
import type { CanonicalMessage } from '../dialects/dialect.ts'

/** How many of the newest places where a reply ends are looked at: enough for the edit or the regeneration of a late turn. */
const MAX_CANDIDATES = 8
/** The first is quick and rules nearly every text out. */
const SURROGATE = /[\ud800-\udfff]/
const LONE_SURROGATE = /\p{Surrogate}/u

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
      state.update(frameMessage(text))
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

/** Lone surrogates are all one character in UTF-8, which is what is hashed: text that has them goes in escaped. */
function frameMessage(text: string): string {
  if (!SURROGATE.test(text) || !LONE_SURROGATE.test(text)) return `m${text.length}:${text}`
  const escaped = JSON.stringify(text)
  return `s${escaped.length}:${escaped}`
}

/** Hashes a history once. A boundary can stand after a message of the model that another's message, or nothing, follows. */
export function chainOf(
  scope: string,
  messages: readonly JsonValue[],
  canonical: (message: JsonValue) => CanonicalMessage,
): Chain {
  const entries: { text: string; fromModel: boolean; index: number }[] = []
  for (const [index, message] of messages.entries()) {
    const { text, fromModel } = canonical(message)
    if (text !== undefined) entries.push({ text, fromModel, index })
  }
  const ends: number[] = []
  for (let i = entries.length - 1; i >= 0 && ends.length < MAX_CANDIDATES; i--) {
    if (entries[i]?.fromModel === true && entries[i + 1]?.fromModel !== true) ends.unshift(i)
  }
  const state = createHash('sha256').update(frameMessage(scope))
  const candidates: ChainCandidate[] = []
  for (const [i, entry] of entries.entries()) {
    state.update(frameMessage(entry.text))
    if (ends[0] === i) {
      ends.shift()
      candidates.unshift({ digest: state.copy().digest('base64url'), messages: entry.index + 1 })
    }
  }
  return new Chain(state, candidates, canonical)
}
