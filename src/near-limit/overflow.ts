// Checks a turn against the model's limit before dispatch, if a policy asks for it: it is sent unchanged, rejected, or cut.

import type { CwmError } from '../base/errors.ts'
import type { JsonValue } from '../base/json.ts'
import type { Metrics } from '../base/metrics.ts'
import type { Caller, NearLimit, Overflow } from '../base/tenants.ts'
import { firstMediaAt } from '../dialects/media.ts'
import type { TokenScales } from '../engines/token-scale.ts'
import type { ControlHeaders } from '../identity/control-headers.ts'
import { contextExceeded } from '../limits/context-exceeded.ts'
import { placeCutNote } from '../limits/cut-note.ts'
import { estimatedTokens } from '../limits/estimated-tokens.ts'
import { defaultReserve, outputReserve } from '../limits/output-reserve.ts'
import { cutTag, type Fold, fold } from '../limits/rollover.ts'
import { type TokenScale, UNSCALED } from '../limits/typical.ts'
import { typicalTokensOfShaping } from '../limits/typical-messages.ts'
import { upperTokens, upperTokensOfText } from '../limits/upper-bound.ts'
import { factorsOf, type HistoryScaleParts } from './history-scale.ts'
import { countOrUndefined, type MeasureParts, type MeasureRequest, measure, type Size, shapeOf } from './measure.ts'
import type { Cut, OutgoingPrompt } from './outgoing.ts'

export interface OverflowParts extends MeasureParts, HistoryScaleParts {
  readonly scales: Pick<TokenScales, 'of'>
  readonly metrics: Pick<Metrics, 'sizeChecks' | 'overflows'>
}

/** A turn to be checked against the limit. */
export interface FitRequest extends MeasureRequest {
  readonly policy: Overflow
  readonly nearLimit: NearLimit
  /** Tokens; undefined if unknown, and then everything fits. */
  readonly limit: number | undefined
  /** The session's newest window, for the error message. */
  readonly window: string | undefined
}

/** The overflow policy of a turn: its header's, else its tenant's. */
export function overflowOf(
  { policy }: Pick<Caller, 'policy'>,
  { overflow }: Pick<ControlHeaders, 'overflow'>,
): Overflow {
  return overflow ?? policy.nearLimit.overflow
}

/** What is sent of a turn that fits. */
export interface Fitted {
  /** Undefined: everything. */
  readonly cut?: Cut
  /** What else shapes the prompt, so that the size which the engine reports for it can be reused. */
  readonly shape?: string
}

/** If the tokenizer counts more than the estimate, each message is assumed that much larger. Only messages can be cut. */
const LARGER = [1, 1.5, 2, 3, 4]
/** If the estimate says that nothing can be cut, the tokenizer may still find that it fits. */
const SMALLER = [0.8, 0.6]
/** Tokens of the template around the messages, and of the note to the model. */
const FRAME_TOKENS = 128

/**
 * Applies the overflow policy to a turn. Returns what to send. Throws `CONTEXT_LENGTH_EXCEEDED` for a turn that does not fit and must not or
 * cannot be cut, and what the engine call throws.
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

/** Completions contain one text, or several that the engine handles separately, so the largest decides. They cannot be cut. */
async function fitBarePrompt(parts: OverflowParts, request: FitRequest, limit: number): Promise<Fitted> {
  const { rules, json, outgoing, engine, call } = request
  const room = outputReserve(rules.maxTokens(json), limit)
  for (const prompt of barePrompts(json.prompt)) {
    if (typeof prompt === 'string' && upperTokensOfText(prompt) + FRAME_TOKENS <= limit - room) {
      parts.metrics.sizeChecks.inc('estimate')
      continue
    }
    const tokens =
      typeof prompt === 'string'
        ? await countOrUndefined(parts, () => engine.countText(outgoing.model, prompt, call))
        : prompt.length
    if (tokens !== undefined && tokens + room > limit) throw refusal(parts, request, limit, tokens)
  }
  return {}
}

/** The forms of `prompt` that vLLM accepts: a text, its ids, or a list of either. */
function barePrompts(prompt: JsonValue | undefined): readonly (string | readonly JsonValue[])[] {
  if (typeof prompt === 'string') return [prompt]
  if (!Array.isArray(prompt)) return []
  const items = prompt as readonly JsonValue[]
  return typeof items[0] === 'number'
    ? [items]
    : items.filter((item) => typeof item === 'string' || Array.isArray(item))
}

async function fitOrCut(parts: OverflowParts, request: FitRequest, limit: number): Promise<Fitted> {
  const { rules, outgoing, engine, nearLimit, call } = request
  const { messages, shaping } = outgoing
  const reserve = defaultReserve(limit)
  // Estimates never exceed the upper bound, so a prompt whose upper bound fits is never cut.
  const small = firstMediaAt(messages) === -1 && FRAME_TOKENS + upperTokens({ messages, shaping }) <= limit - reserve
  const scale = small ? UNSCALED : await parts.scales.of(engine, outgoing.model, call.apiKey)
  const fixed = (factor: number) => FRAME_TOKENS + typicalTokensOfShaping(shaping, scaledBy(scale, factor))
  const estimate = (message: JsonValue) => estimatedTokens(message, scale)
  const room = limit - reserve - fixed(1)
  const factors = small ? [] : await factorsOf(parts, { rules, outgoing, engine, estimate, scale, room, call })
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
    // Uses the default reserve, not this request's: the cut must be the same for all requests with this history.
    const size = await measure(parts, { ...request, outgoing: kept }, shape, limit - reserve)
    if (!size.fits && cut === undefined) whole = size.tokens
    if (size.fits && cut === undefined) return { shape }
    if (size.fits && cut !== undefined) {
      parts.metrics.overflows.inc({ policy: 'rollover' })
      return { shape, cut }
    }
  }
  // A request that allows only a short answer may fit without the default reserve.
  return await fitOrReject(parts, request, limit, {
    tokens: whole,
    because: 'The messages that a cut must keep do not fit either, so nothing was cut.',
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

/** The outgoing prompt after a cut. */
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

/** The error, with the engine's own count. */
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
