// Measures a prompt: by the known size of its history plus an upper bound for the new messages, and by the engine's tokenizer if that does
// not decide.

import { createHash } from 'node:crypto'
import { isFinalRefusal, toCwmError } from '../base/errors.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'
import type { Metrics } from '../base/metrics.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { firstMediaAt } from '../dialects/media.ts'
import type { CallOptions, Engine } from '../engines/engine.ts'
import type { Chain } from '../identity/chain.ts'
import { GENERATION_PROMPT_TOKENS, PREAMBLE_TOKENS, upperTokens, upperTokensOfMessage } from '../limits/upper-bound.ts'
import type { KnownSizes } from './known-sizes.ts'
import type { OutgoingPrompt } from './outgoing.ts'

export interface MeasureParts {
  readonly sizes: KnownSizes
  readonly metrics: Pick<Metrics, 'sizeChecks'>
}

/** A prompt to be measured, and the request it comes from. */
export interface MeasureRequest {
  readonly rules: DialectRules
  readonly json: JsonObject
  readonly outgoing: OutgoingPrompt
  /** The engine that gets the prompt. */
  readonly engine: Pick<Engine, 'countTokens' | 'countText'>
  /** The chain over what the client sent, its outer system prompt first. */
  readonly chain: Chain | undefined
  /** Exact size of the base window's messages, if nothing else shapes the prompt; 0 if unknown. */
  readonly windowTokens: number
  readonly call: CallOptions
}

/** The size of a prompt that does not fit comes from the engine. */
export type Size = { readonly fits: true } | { readonly fits: false; readonly tokens: number }

/**
 * Whether a prompt has at most that many tokens. If the size cannot be determined, the prompt counts as fitting and the engine decides.
 * Throws what the engine call throws, except for a final refusal.
 */
export async function measure(
  parts: MeasureParts,
  request: MeasureRequest,
  shape: string,
  atMost: number,
): Promise<Size> {
  const estimate = estimateOf(parts.sizes, request, shape)
  if (estimate !== undefined && estimate <= atMost) {
    parts.metrics.sizeChecks.inc('estimate')
    return { fits: true }
  }
  const { rules, outgoing, engine, call } = request
  const { dialect } = rules
  const { model, messages, shaping } = outgoing
  const tokens = await countOrUndefined(parts, () => engine.countTokens({ dialect, model, messages, shaping }, call))
  return tokens === undefined || tokens <= atMost ? { fits: true } : { fits: false, tokens }
}

/** Counts with the engine's tokenizer. Undefined if it cannot count, or will never accept the prompt and will say so itself. */
export async function countOrUndefined(
  { metrics }: Pick<MeasureParts, 'metrics'>,
  ask: () => Promise<number | undefined>,
): Promise<number | undefined> {
  metrics.sizeChecks.inc('tokenize')
  try {
    const tokens = await ask()
    if (tokens === undefined) metrics.sizeChecks.inc('nobody')
    return tokens
  } catch (thrown) {
    if (isFinalRefusal(thrown)) {
      metrics.sizeChecks.inc('nobody')
      return undefined
    }
    if (toCwmError(thrown).code !== 'CLIENT_GONE') metrics.sizeChecks.inc('failed')
    throw thrown
  }
}

/** Identifies what shapes a prompt besides the client's messages. A size only applies to prompts of the same shape. `cut`: the cut's digest. */
export function shapeOf({ model, shaping, windowId }: OutgoingPrompt, cut: string | undefined): string {
  return createHash('sha256')
    .update(JSON.stringify([model, shaping, windowId ?? null, cut ?? null]))
    .digest('base64url')
}

/** An upper bound of the engine's count; undefined if there is media. */
function estimateOf(sizes: KnownSizes, request: MeasureRequest, shape: string): number | undefined {
  const { rules, json, outgoing, chain, windowTokens } = request
  const own = rules.readMessages(json)
  const outer = rules.outerSystem(json) === undefined ? 0 : 1
  for (const { digest, messages: upTo } of chain?.candidates ?? []) {
    const known = sizes.find(digest)
    if (known?.shape === shape) return estimateWith(known.tokens, own.slice(upTo - outer))
  }
  if (windowTokens > 0) return estimateWith(windowTokens + GENERATION_PROMPT_TOKENS, own.slice(outgoing.skip))
  const { messages, shaping } = outgoing
  if (firstMediaAt(messages) !== -1) return undefined
  return PREAMBLE_TOKENS + upperTokens({ messages, shaping })
}

function estimateWith(tokens: number, messages: readonly JsonValue[]): number | undefined {
  if (firstMediaAt(messages) !== -1) return undefined
  return messages.reduce<number>((sum, message) => sum + upperTokensOfMessage(message), tokens)
}
