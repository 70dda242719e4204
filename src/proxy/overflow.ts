// A turn held against the model's limit before it is dispatched: measured only where a policy asks for it, by what is known of its history
// and an upper bound of what is new, and by the engine's tokenizer only where that comes near the limit.

import { createHash } from 'node:crypto'
import { CwmError } from '../base/errors.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'
import type { Metrics } from '../base/metrics.ts'
import type { NearLimit, Overflow } from '../base/tenants.ts'
import { noteCut } from '../context/note.ts'
import { contextExceeded } from '../context/overflow.ts'
import { cutTag, digestOf, type Fold, fold } from '../context/rollover.ts'
import { reserveOf, roomFor } from '../context/room.ts'
import { GENERATION_PROMPT_TOKENS, upperTokens, upperTokensOfMessage, upperTokensOfText } from '../context/size.ts'
import { type TokenScale, UNSCALED } from '../context/typical.ts'
import { typicalTokensOfMessage, typicalTokensOfShaping } from '../context/typical-messages.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { firstMediaAt, withoutMedia } from '../dialects/media.ts'
import type { BlockScales } from '../sessions/block-scales.ts'
import type { Chain } from '../sessions/chain.ts'
import type { KnownSizes } from '../sessions/sizes.ts'
import type { CallOptions, Engine } from '../upstream/engine.ts'
import type { TokenScales } from '../upstream/token-scale.ts'
import type { Cut, Outgoing } from './outgoing.ts'

export interface OverflowParts {
  readonly engine: Pick<Engine, 'countTokens' | 'countText'>
  readonly scales: Pick<TokenScales, 'of'>
  readonly blocks: BlockScales
  readonly sizes: KnownSizes
  readonly metrics: Pick<Metrics, 'sizeChecks' | 'overflows'>
}

export interface FitRequest {
  readonly policy: Overflow
  readonly nearLimit: NearLimit
  readonly rules: DialectRules
  readonly json: JsonObject
  readonly outgoing: Outgoing
  /** Tokens; undefined: nobody knows, so everything fits. */
  readonly limit: number | undefined
  /** Over what the client sent, its outer system prompt first. */
  readonly chain: Chain | undefined
  /** Exact size of the window's messages, where these stand before the request's and nothing else shapes the prompt; 0: nobody knows it. */
  readonly windowTokens: number
  /** For the words of a refusal: the session's newest window. */
  readonly window: string | undefined
  readonly call: CallOptions
}

export interface Fitted {
  readonly cut?: Cut
  /** What the prompt is made of beside its messages, so that the size that the engine tells of it can be used again. */
  readonly shape?: string
}

/** Where the tokenizer counts more than the estimate, every message is taken for that much larger. */
const LARGER = [1, 1.5, 2, 3, 4]
/** Where by the estimate nothing can be cut, the tokenizer may still find that it fits. */
const SMALLER = [0.8, 0.6]
/** Tokens of the template around the messages, and of the note to the model. */
const FRAME_TOKENS = 128
/** A history is sized in blocks of this part of the limit. */
const BLOCKS = 4
/** A picture's share of a prompt in the estimate; the engine has the last word. */
const MEDIA_TOKENS = 1024

/**
 * Holds a turn against the limit as the policy wants it. Answers what to send. Throws `CONTEXT_LENGTH_EXCEEDED` for what does not fit and
 * must or can not be cut, and what asking the engine throws.
 */
export async function fitTurn(parts: OverflowParts, request: FitRequest): Promise<Fitted> {
  const { policy, limit } = request
  if (policy === 'pass' || limit === undefined) return {}
  if (request.rules.messagesField === undefined) return await fitBarePrompt(parts, request, limit)
  return policy === 'reject' ? await fitOrReject(parts, request, limit) : await fitOrCut(parts, request, limit)
}

async function fitOrReject(
  parts: OverflowParts,
  request: FitRequest,
  limit: number,
  because?: string,
): Promise<Fitted> {
  const { rules, json, outgoing } = request
  const room = roomFor(rules.maxTokens(json), limit)
  const shape = shapeOf(outgoing, undefined)
  const size = await measure(parts, request, shape, limit - room)
  if (size.fits) return { shape }
  throw refused(parts, request, limit, size.tokens, because)
}

/** Completions are one bare text, or several that the engine takes one by one: the largest of them decides. There is nothing to cut. */
async function fitBarePrompt(parts: OverflowParts, request: FitRequest, limit: number): Promise<Fitted> {
  const { rules, json, outgoing, call } = request
  const room = roomFor(rules.maxTokens(json), limit)
  for (const prompt of barePrompts(json.prompt)) {
    if (typeof prompt === 'string' && upperTokensOfText(prompt) + FRAME_TOKENS <= limit - room) {
      parts.metrics.sizeChecks.inc('estimate')
      continue
    }
    const tokens =
      typeof prompt === 'string'
        ? await count(parts, () => parts.engine.countText(outgoing.model, prompt, call))
        : prompt.length
    if (tokens !== undefined && tokens + room > limit) throw refused(parts, request, limit, tokens)
  }
  return {}
}

/** As vLLM takes `prompt`: a text, its ids, or a list of either. */
function barePrompts(prompt: JsonValue | undefined): readonly (string | readonly JsonValue[])[] {
  if (typeof prompt === 'string') return [prompt]
  if (!Array.isArray(prompt)) return []
  const items = prompt as readonly JsonValue[]
  return typeof items[0] === 'number'
    ? [items]
    : items.filter((item) => typeof item === 'string' || Array.isArray(item))
}

async function fitOrCut(parts: OverflowParts, request: FitRequest, limit: number): Promise<Fitted> {
  const { rules, outgoing, nearLimit, call } = request
  const { messages, shaping } = outgoing
  const reserve = reserveOf(limit)
  // Sizes are never taken for more than their upper bound, so what is below it in all is never cut.
  const small = firstMediaAt(messages) === -1 && FRAME_TOKENS + upperTokens({ messages, shaping }) <= limit - reserve
  const scale = small ? UNSCALED : await parts.scales.of(outgoing.model, call.apiKey)
  const factors = small ? [] : await blockFactors(parts, request, scale, limit)
  const foldBy = (factor: number) =>
    fold({
      messages,
      rules,
      sizeOf: (message, i) => sizeIn(message, times(scale, factor * (factors[i] ?? 1))),
      fixed: FRAME_TOKENS + typicalTokensOfShaping(shaping, times(scale, factor)),
      limit,
      reserve,
      to: nearLimit.rolloverTo,
      keepFirst: nearLimit.keepFirst,
    })
  const first = foldBy(1)
  for (const factor of first.kind === 'impossible' ? SMALLER : LARGER) {
    const folded = factor === 1 ? first : foldBy(factor)
    if (folded.kind === 'impossible') continue
    const cut = folded.kind === 'whole' ? undefined : cutOf(folded, request)
    const kept = cut === undefined ? outgoing : afterCut(outgoing, cut)
    const shape = shapeOf(outgoing, cut?.digest)
    // By the reserve, not by what this request asks for: the cut must be the same for all requests with this history.
    const size = await measure(parts, { ...request, outgoing: kept }, shape, limit - reserve)
    if (size.fits && cut === undefined) return { shape }
    if (size.fits && cut !== undefined) {
      parts.metrics.overflows.inc({ policy: 'rollover' })
      return { shape, cut }
    }
  }
  // A request that asks for little may fit where the reserve does not.
  return await fitOrReject(parts, request, limit, 'What must stay of it does not fit, so nothing was cut.')
}

/** How the tokenizer counts this history's own words: it is asked once for each quarter of the limit. */
async function blockFactors(
  parts: OverflowParts,
  request: FitRequest,
  scale: TokenScale,
  limit: number,
): Promise<readonly number[]> {
  const { rules, outgoing } = request
  return await parts.blocks.of({
    messages: outgoing.messages,
    blockTokens: Math.floor(limit / BLOCKS),
    estimate: (message) => sizeIn(message, scale),
    keyOf: (block) => JSON.stringify([outgoing.model, digestOf(block, rules)]),
    count: async (messages) => {
      if (firstMediaAt(messages) !== -1) return undefined
      return await countExactly(parts, { ...request, outgoing: { ...outgoing, messages, shaping: {} } })
    },
  })
}

function times({ ascii, beyond }: TokenScale, factor: number): TokenScale {
  return { ascii: ascii * factor, beyond: beyond * factor }
}

function cutOf(folded: Extract<Fold, { kind: 'cut' }>, { rules, outgoing, nearLimit }: FitRequest): Cut {
  const { keep, cut: dropped, digest } = folded
  if (!nearLimit.rolloverNote) return { digest, keep, dropped }
  const messages = keep.flatMap((i) => outgoing.messages[i] ?? [])
  const note = noteCut({ rules, body: outgoing.shaping, messages, tag: cutTag(digest) })
  return { digest, keep, dropped, note }
}

/** What goes out of a prompt once it is cut. */
function afterCut(outgoing: Outgoing, { keep, note }: Cut): Outgoing {
  const messages = keep.flatMap((i) => outgoing.messages[i] ?? [])
  switch (note?.kind) {
    case 'field':
      return { ...outgoing, messages, shaping: { ...outgoing.shaping, [note.field]: note.value } }
    case 'message':
      return { ...outgoing, messages: messages.with(note.at, note.message) }
    case 'front':
      return { ...outgoing, messages: [note.message, ...messages] }
    default:
      return { ...outgoing, messages }
  }
}

/** What does not fit was counted by the engine. */
type Size = { readonly fits: true } | { readonly fits: false; readonly tokens: number }

/** Whether a prompt has at most so many tokens. Where nobody can tell it is taken to fit: the engine decides. */
async function measure(parts: OverflowParts, request: FitRequest, shape: string, atMost: number): Promise<Size> {
  const estimate = estimateOf(parts, request, shape)
  if (estimate !== undefined && estimate <= atMost) {
    parts.metrics.sizeChecks.inc('estimate')
    return { fits: true }
  }
  const tokens = await countExactly(parts, request)
  return tokens === undefined || tokens <= atMost ? { fits: true } : { fits: false, tokens }
}

/** As the engine counts; undefined where it has no way to. */
async function countExactly(
  parts: OverflowParts,
  { rules: { dialect }, outgoing: { model, messages, shaping }, call }: FitRequest,
): Promise<number | undefined> {
  if (dialect === 'completions') return undefined
  return await count(parts, () => parts.engine.countTokens({ dialect, model, messages, shaping }, call))
}

/** What the engine refuses to count it will refuse to answer, in its own words. */
async function count({ metrics }: OverflowParts, ask: () => Promise<number | undefined>): Promise<number | undefined> {
  metrics.sizeChecks.inc('tokenize')
  try {
    return await ask()
  } catch (thrown) {
    if (thrown instanceof CwmError && thrown.code === 'UPSTREAM_REJECTED') return undefined
    throw thrown
  }
}

/** Never below the engine's count; undefined for pictures and the like. */
function estimateOf({ sizes }: OverflowParts, request: FitRequest, shape: string): number | undefined {
  const { rules, json, outgoing, chain, windowTokens } = request
  const own = rules.readMessages(json)
  const outer = rules.outerSystem(json) === undefined ? 0 : 1
  for (const { digest, messages: upTo } of chain?.candidates ?? []) {
    const known = sizes.find(digest)
    if (known?.shape === shape) return added(known.tokens, own.slice(upTo - outer))
  }
  if (windowTokens > 0) return added(windowTokens + GENERATION_PROMPT_TOKENS, own.slice(outgoing.skip))
  const { model, messages, shaping } = outgoing
  if (firstMediaAt(messages) !== -1) return undefined
  return sizes.preambleOf(model, hasTools(shaping)) + upperTokens({ messages, shaping })
}

function added(tokens: number, messages: readonly JsonValue[]): number | undefined {
  if (firstMediaAt(messages) !== -1) return undefined
  return messages.reduce<number>((sum, message) => sum + upperTokensOfMessage(message), tokens)
}

/** Deterministic, so that the cut is: nothing of usage goes into it. */
function sizeIn(message: JsonValue, scale: TokenScale): number {
  const { text, media } = withoutMedia(message)
  return typicalTokensOfMessage(text, scale) + media * MEDIA_TOKENS
}

/** The refusal, with the engine's own count. */
function refused(
  { metrics }: OverflowParts,
  { rules, json, window }: FitRequest,
  limit: number,
  promptTokens: number,
  because?: string,
): CwmError {
  const room = roomFor(rules.maxTokens(json), limit)
  metrics.overflows.inc({ policy: 'reject' })
  const words = because === undefined ? {} : { because }
  return contextExceeded({ dialect: rules.dialect, limit, promptTokens, room, window, ...words })
}

function shapeOf({ model, shaping, windowId }: Outgoing, cut: string | undefined): string {
  return createHash('sha256')
    .update(JSON.stringify([model, shaping, windowId ?? null, cut ?? null]))
    .digest('base64url')
}

export function hasTools({ tools, functions }: JsonObject): boolean {
  return tools !== undefined || functions !== undefined
}
