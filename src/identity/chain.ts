// The chain over a history: one running SHA-256 over scope and canonical messages, its digest taken where a reply ends.

import { createHash, type Hash } from 'node:crypto'
import type { JsonValue } from '../base/json.ts'
import { ArgumentsBudget } from '../dialects/canonical-json.ts'
import type { CanonicalMessage } from '../dialects/dialect.ts'
import { OPENING_RANK, rankOfReply, repliesLookedFor } from './reply-ranks.ts'

/** Within runs of several model messages, only so many of the first and of the last places are looked at. */
const MAX_INNER_EACH = 8

/** The end of a reply in a history, as it is stored. */
export interface ReplyBoundary {
  readonly digest: string
  /** See `rankOfReply`. */
  readonly rank: number
}

export interface ChainCandidate extends ReplyBoundary {
  /** How many messages stand up to and with this boundary. */
  readonly messages: number
}

type Canonical = (message: JsonValue, budget: ArgumentsBudget) => CanonicalMessage

/** The state after a whole request, to which the reply is added later. */
export class Chain {
  readonly #state: Hash
  readonly #canonical: Canonical
  readonly #budget: ArgumentsBudget
  /** Newest first. */
  readonly candidates: readonly ChainCandidate[]
  readonly #replyRank: number

  /** `ordinal`: the place of the coming reply among the history's replies; the first is 1. `budget`: what the history has left of it. */
  constructor(
    state: Hash,
    candidates: readonly ChainCandidate[],
    ordinal: number,
    canonical: Canonical,
    budget: ArgumentsBudget,
  ) {
    this.#budget = budget
    this.#state = state
    this.candidates = candidates
    this.#replyRank = rankOfReply(ordinal)
    this.#canonical = canonical
  }

  /** The boundary over the request's messages and this reply; undefined when the reply holds nothing that identifies it. */
  boundary(reply: readonly JsonValue[]): ReplyBoundary | undefined {
    const state = this.#state.copy()
    const budget = this.#budget.copy()
    let any = false
    for (const message of reply) {
      const { text } = this.#canonical(message, budget)
      if (text === undefined) continue
      state.update(frameOne(text))
      any = true
    }
    return any ? { digest: state.digest('base64url'), rank: this.#replyRank } : undefined
  }

  /** The boundary over the request's messages and the client's own conversation id. Its frame differs from that of every reply. */
  opening(conversation: string): ReplyBoundary {
    const state = this.#state.copy().update(`opens${frameOne(conversation)}`)
    return { digest: state.digest('base64url'), rank: OPENING_RANK }
  }
}

/**
 * The mark that a boundary's session stands behind a window: the client's own words are not all of its prompt. Kept beside the
 * boundary, so that an ambiguous one can be told from one that would silently lose a window.
 */
export function windowScopedDigest(boundary: string): string {
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

/** A model message: how many texts and messages there are up to and including it, and the ordinal of its reply. */
interface Stop {
  readonly texts: number
  readonly messages: number
  readonly ordinal: number
  /** Whether the reply ends here, because no model message follows directly. */
  isEnd: boolean
}

/**
 * Hashes a history once. A boundary can stand after a message of the model. What lies between two boundaries that are looked at goes into
 * the hash at once: of 400 messages a few are told apart, the rest is a handful of texts.
 */
export function chainOf(scope: string, messages: readonly JsonValue[], canonical: Canonical): Chain {
  const budget = new ArgumentsBudget()
  const texts = [scope]
  const stops: Stop[] = []
  let replies = 0
  let last: Stop | undefined
  for (const [index, message] of messages.entries()) {
    const { text, fromModel } = canonical(message, budget)
    if (text === undefined) continue
    texts.push(text)
    if (!fromModel) {
      last = undefined
      continue
    }
    if (last === undefined) replies++
    else last.isEnd = false
    last = { texts: texts.length, messages: index + 1, ordinal: replies, isEnd: true }
    stops.push(last)
  }
  const state = createHash('sha256')
  const candidates: ChainCandidate[] = []
  let hashed = 0
  for (const { texts: end, messages: count, ordinal } of lookedAt(stops, replies)) {
    state.update(frameAll(texts.slice(hashed, end)))
    hashed = end
    candidates.push({ digest: state.copy().digest('base64url'), messages: count, rank: rankOfReply(ordinal) })
  }
  // If the request ends with a model message, the reply continues that one.
  const ordinal = last === undefined ? replies + 1 : replies
  return new Chain(state.update(frameAll(texts.slice(hashed))), candidates.reverse(), ordinal, canonical, budget)
}

/**
 * Where boundaries are looked for: at the ends of some replies, and within replies of several messages. Each of those may have been a reply
 * of its own before the client dropped what stood between them (Claude Code's `--continue`).
 */
function lookedAt(stops: readonly Stop[], replies: number): readonly Stop[] {
  const isLookedFor = repliesLookedFor(replies)
  const looked = stops.filter(({ ordinal }) => isLookedFor(ordinal))
  const inner = looked.filter(({ isEnd }) => !isEnd)
  if (inner.length <= 2 * MAX_INNER_EACH) return looked
  const dropped = new Set(inner.slice(MAX_INNER_EACH, -MAX_INNER_EACH))
  return looked.filter((stop) => !dropped.has(stop))
}
