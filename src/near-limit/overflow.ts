// A turn held against the model's limit before it is dispatched, only where a policy asks for it: it goes out as it is, or is refused, or cut.

import type { CwmError } from '../base/errors.ts'
import type { JsonValue } from '../base/json.ts'
import type { Metrics } from '../base/metrics.ts'
import type { Caller, NearLimit, Overflow } from '../base/tenants.ts'
import { firstMediaAt, withoutMedia } from '../dialects/media.ts'
import type { TokenScales } from '../engines/token-scale.ts'
import type { ControlHeaders } from '../identity/control-headers.ts'
import { contextExceeded } from '../limits/context-exceeded.ts'
import { placeCutNote } from '../limits/cut-note.ts'
import { defaultReserve, outputReserve } from '../limits/output-reserve.ts'
import { cutTag, type Fold, fold } from '../limits/rollover.ts'
import { type TokenScale, UNSCALED } from '../limits/typical.ts'
import { typicalTokensOfMessage, typicalTokensOfShaping } from '../limits/typical-messages.ts'
import { upperTokens, upperTokensOfText } from '../limits/upper-bound.ts'
import { factorsOf, type HistoryScaleParts } from './history-scale.ts'
import { countOrUndefined, type MeasureParts, type MeasureRequest, measure, type Size, shapeOf } from './measure.ts'
import type { Cut, OutgoingPrompt } from './outgoing.ts'

export interface OverflowParts extends MeasureParts, HistoryScaleParts {
  readonly scales: Pick<TokenScales, 'of'>
  readonly metrics: Pick<Metrics, 'sizeChecks' | 'overflows'>
}

/** A turn that is to be held against the limit. */
export interface FitRequest extends MeasureRequest {
  readonly policy: Overflow
  readonly nearLimit: NearLimit
  /** Tokens; undefined: nobody knows, so everything fits. */
  readonly limit: number | undefined
  /** For the words of a refusal: the session's newest window. */
  readonly window: string | undefined
}

/** The policy of a turn: its own before its tenant's. */
export function overflowOf(
  { policy }: Pick<Caller, 'policy'>,
  { overflow }: Pick<ControlHeaders, 'overflow'>,
): Overflow {
  return overflow ?? policy.nearLimit.overflow
}

/** What goes out of a turn that fits. */
export interface Fitted {
  /** Undefined: all of it. */
  readonly cut?: Cut
  /** What the prompt is made of beside its messages, so that the size that the engine tells of it can be used again. */
  readonly shape?: string
}

/** Where the tokenizer counts more than the estimate, every message is taken for that much larger; what stands beside them can not be cut. */
const LARGER = [1, 1.5, 2, 3, 4]
/** Where by the estimate nothing can be cut, the tokenizer may still find that it fits. */
const SMALLER = [0.8, 0.6]
/** Tokens of the template around the messages, and of the note to the model. */
const FRAME_TOKENS = 128
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
  known: { readonly tokens?: number | undefined; readonly because?: string } = {},
): Promise<Fitted> {
  const { rules, json, outgoing } = request
  const atMost = limit - outputReserve(rules.maxTokens(json), limit)
  const shape = shapeOf(outgoing, undefined)
  const { tokens, because } = known
  const size: Size =
    tokens === undefined ? await measure(parts, request, shape, atMost) : { fits: tokens <= atMost, tokens }
  if (size.fits) return { shape }
  throw refusal(parts, request, limit, size.tokens, because)
}

/** Completions are one bare text, or several that the engine takes one by one: the largest of them decides. There is nothing to cut. */
async function fitBarePrompt(parts: OverflowParts, request: FitRequest, limit: number): Promise<Fitted> {
  const { rules, json, outgoing, call } = request
  const room = outputReserve(rules.maxTokens(json), limit)
  for (const prompt of barePrompts(json.prompt)) {
    if (typeof prompt === 'string' && upperTokensOfText(prompt) + FRAME_TOKENS <= limit - room) {
      parts.metrics.sizeChecks.inc('estimate')
      continue
    }
    const tokens =
      typeof prompt === 'string'
        ? await countOrUndefined(parts, () => parts.engine.countText(outgoing.model, prompt, call))
        : prompt.length
    if (tokens !== undefined && tokens + room > limit) throw refusal(parts, request, limit, tokens)
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
  const reserve = defaultReserve(limit)
  // Sizes are never taken for more than their upper bound, so what is below it in all is never cut.
  const small = firstMediaAt(messages) === -1 && FRAME_TOKENS + upperTokens({ messages, shaping }) <= limit - reserve
  const scale = small ? UNSCALED : await parts.scales.of(outgoing.model, call.apiKey)
  const fixed = (factor: number) => FRAME_TOKENS + typicalTokensOfShaping(shaping, scaledBy(scale, factor))
  const estimate = (message: JsonValue) => estimatedTokens(message, scale)
  const room = limit - reserve - fixed(1)
  const factors = small ? [] : await factorsOf(parts, { rules, outgoing, estimate, scale, room, call })
  const foldBy = (factor: number) =>
    fold({
      messages,
      rules,
      sizeOf: (message, i) => estimatedTokens(message, scaledBy(scale, factor * (factors[i] ?? 1))),
      fixed: fixed(Math.min(factor, 1)),
      limit,
      reserve,
      to: nearLimit.rolloverTo,
      keepFirst: nearLimit.keepFirst,
    })
  const first = foldBy(1)
  let tried: string | undefined
  let whole: number | undefined
  for (const factor of first.kind === 'impossible' ? SMALLER : LARGER) {
    const folded = factor === 1 ? first : foldBy(factor)
    if (folded.kind === 'impossible') continue
    const outcome = folded.kind === 'whole' ? folded.kind : folded.digest
    if (outcome === tried) continue
    tried = outcome
    const cut = folded.kind === 'whole' ? undefined : cutOf(folded, request)
    const kept = cut === undefined ? outgoing : afterCut(outgoing, cut)
    const shape = shapeOf(outgoing, cut?.digest)
    // By the reserve, not by what this request asks for: the cut must be the same for all requests with this history.
    const size = await measure(parts, { ...request, outgoing: kept }, shape, limit - reserve)
    if (!size.fits && cut === undefined) whole = size.tokens
    if (size.fits && cut === undefined) return { shape }
    if (size.fits && cut !== undefined) {
      parts.metrics.overflows.inc({ policy: 'rollover' })
      return { shape, cut }
    }
  }
  // A request that asks for little may fit where the reserve does not.
  return await fitOrReject(parts, request, limit, {
    tokens: whole,
    because: 'What must stay of it does not fit, so nothing was cut.',
  })
}

function scaledBy({ ascii, beyond }: TokenScale, factor: number): TokenScale {
  return { ascii: ascii * factor, beyond: beyond * factor }
}

function cutOf(folded: Extract<Fold, { kind: 'cut' }>, { rules, outgoing, nearLimit }: FitRequest): Cut {
  const { keep, cut: dropped, digest } = folded
  if (!nearLimit.rolloverNote) return { digest, keep, dropped }
  const messages = keep.flatMap((i) => outgoing.messages[i] ?? [])
  const note = placeCutNote({ rules, body: outgoing.shaping, messages, tag: cutTag(digest) })
  return { digest, keep, dropped, note }
}

/** What goes out of a prompt once it is cut. */
function afterCut(outgoing: OutgoingPrompt, { keep, note }: Cut): OutgoingPrompt {
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

/** Deterministic, so that the cut is: nothing of usage goes into it. */
function estimatedTokens(message: JsonValue, scale: TokenScale): number {
  const { text, media } = withoutMedia(message)
  return typicalTokensOfMessage(text, scale) + media * MEDIA_TOKENS
}

/** The refusal, with the engine's own count. */
function refusal(
  { metrics }: OverflowParts,
  { rules, json, window }: FitRequest,
  limit: number,
  promptTokens: number,
  because?: string,
): CwmError {
  const room = outputReserve(rules.maxTokens(json), limit)
  metrics.overflows.inc({ policy: 'reject' })
  const words = because === undefined ? {} : { because }
  return contextExceeded({ rules, limit, promptTokens, room, window, ...words })
}
