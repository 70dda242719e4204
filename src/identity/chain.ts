// The chain of a history: a running SHA-256 over scope and canonical messages, with a digest after each reply.

import { createHash } from 'node:crypto'
import type { JsonValue } from '../base/json.ts'
import { ArgumentsBudget } from '../dialects/canonical-json.ts'
import type { CanonicalMessage } from '../dialects/dialect.ts'
import { lookedUpReplies, OPENING_RANK, rankOfReply } from './reply-ranks.ts'
import { RunningDigest } from './running-digest.ts'

/** Up to this length, each digest is computed only when it is read. */
const SHORT_CHARS = 16 * 1024

/** In runs of several model messages, at most this many of the first and of the last places are considered. */
const MAX_INNER_EACH = 8

/** The end of a reply in a history, as stored. */
export interface ReplyBoundary {
  readonly digest: string
  /** See `rankOfReply`. */
  readonly rank: number
}

export interface ChainCandidate extends ReplyBoundary {
  /** Number of messages up to and including this boundary. */
  readonly messages: number
}

type Canonical = (message: JsonValue, budget: ArgumentsBudget) => CanonicalMessage

/** The state after a whole request, to which the reply is added later. */
export class Chain {
  readonly #digest: RunningDigest
  readonly #canonical: Canonical
  readonly #budget: ArgumentsBudget
  /** Newest first. */
  readonly candidates: readonly ChainCandidate[]
  readonly #replyRank: number

  /** `ordinal`: the coming reply's position among the history's replies, from 1. `budget`: what the history has left of it. */
  constructor(
    digest: RunningDigest,
    candidates: readonly ChainCandidate[],
    ordinal: number,
    canonical: Canonical,
    budget: ArgumentsBudget,
  ) {
    this.#budget = budget
    this.#digest = digest
    this.candidates = candidates
    this.#replyRank = rankOfReply(ordinal)
    this.#canonical = canonical
  }

  /** The boundary over the request's messages and this reply; undefined if the reply has no identifying content. */
  boundary(reply: readonly JsonValue[]): ReplyBoundary | undefined {
    const budget = this.#budget.copy()
    let framed = ''
    for (const message of reply) {
      const { text } = this.#canonical(message, budget)
      if (text === undefined) continue
      framed += frameOne(text)
    }
    return framed === '' ? undefined : { digest: this.#digest.with(framed), rank: this.#replyRank }
  }

  /** The boundary over the request's messages and the client's own conversation id. Its frame differs from that of every reply. */
  opening(conversation: string): ReplyBoundary {
    return { digest: this.#digest.with(`opens${frameOne(conversation)}`), rank: OPENING_RANK }
  }
}

/**
 * Marks a boundary whose session has a base window, so that the client's own messages are not its whole prompt. Stored next to the
 * boundary: an ambiguous boundary can then be distinguished from one that would silently lose a window.
 */
export function windowScopedDigest(boundary: string): string {
  return createHash('sha256').update(`behind-window:${boundary}`).digest('base64url')
}

/** The texts, each preceded by its length. */
function framesOf(texts: readonly string[]): readonly string[] {
  const frames: string[] = []
  for (const text of texts) {
    if (text.isWellFormed()) frames.push(`m${text.length}:`, text)
    else frames.push(frameOne(text))
  }
  return frames
}

/** UTF-8 maps all lone surrogates to one character, and the hash reads UTF-8, so text that contains them is escaped. */
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
 * Hashes a history once. A boundary can follow each model message. Everything between two considered boundaries is hashed in one call: of
 * 400 messages only a few have boundaries, so there are few calls.
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
  const looked = lookedAt(stops, replies)
  const digest = new RunningDigest()
  const isLazy = isShort(texts)
  const candidates = isLazy
    ? looked.map((stop) => new LazyCandidate(stop, texts.slice(0, stop.texts)))
    : digestsAt(digest, texts, looked)
  const hashed = isLazy ? 0 : (looked.at(-1)?.texts ?? 0)
  // If the request ends with a model message, the reply continues that one.
  const ordinal = last === undefined ? replies + 1 : replies
  digest.add(framesOf(texts.slice(hashed)))
  return new Chain(digest, candidates.reverse(), ordinal, canonical, budget)
}

function isShort(texts: readonly string[]): boolean {
  let chars = 0
  for (const { length } of texts) chars += length
  return chars <= SHORT_CHARS
}

/** Computes the digest at each stop, oldest first. `digest` then covers everything up to the last stop. */
function digestsAt(digest: RunningDigest, texts: readonly string[], stops: readonly Stop[]): ChainCandidate[] {
  let hashed = 0
  return stops.map(({ texts: end, messages, ordinal }) => {
    digest.add(framesOf(texts.slice(hashed, end)))
    hashed = end
    return { digest: digest.with(), messages, rank: rankOfReply(ordinal) }
  })
}

/** A candidate of a short history. Its digest is computed when it is read: mostly only the newest one is. */
class LazyCandidate implements ChainCandidate {
  readonly messages: number
  readonly rank: number
  readonly #texts: readonly string[]
  #digest: string | undefined

  /** `texts`: all texts up to and including the candidate. */
  constructor({ messages, ordinal }: Stop, texts: readonly string[]) {
    this.messages = messages
    this.rank = rankOfReply(ordinal)
    this.#texts = texts
  }

  get digest(): string {
    if (this.#digest === undefined) {
      const digest = new RunningDigest()
      digest.add(framesOf(this.#texts))
      this.#digest = digest.with()
    }
    return this.#digest
  }
}

/**
 * The considered boundaries: at the ends of some replies, and within replies of several messages. Each of those may have been a separate
 * reply before the client dropped what was between them (Claude Code's `--continue`).
 */
function lookedAt(stops: readonly Stop[], replies: number): readonly Stop[] {
  const isLookedFor = lookedUpReplies(replies)
  const looked = stops.filter(({ ordinal }) => isLookedFor(ordinal))
  const inner = looked.filter(({ isEnd }) => !isEnd)
  if (inner.length <= 2 * MAX_INNER_EACH) return looked
  const dropped = new Set(inner.slice(MAX_INNER_EACH, -MAX_INNER_EACH))
  return looked.filter((stop) => !dropped.has(stop))
}
