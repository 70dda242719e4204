// Cuts texts into parts that are exact by the engine's tokenizer: an estimate decides where, and each part is counted as the window that it
// becomes. Parts that turn out too large are cut again.

import { CwmError } from '../base/errors.ts'
import { inParallel } from '../base/in-parallel.ts'
import type { CallOptions, Engine } from '../engines/engine.ts'
import type { EngineFleet } from '../engines/fleet.ts'
import type { TokenScales } from '../engines/token-scale.ts'
import { typicalTokens } from '../limits/typical.ts'
import { cutText } from './cut-text.ts'
import { partPrompt } from './part-prompt.ts'
import type { PieceRules, TextFormat } from './pieces.ts'

export interface GivenText {
  /** Empty if it has none. */
  readonly title: string
  readonly text: string
  readonly format: TextFormat
}

/** A part of one text. */
export interface CutPart {
  readonly text: string
  /** Of its whole window. */
  readonly tokens: number
}

export interface CutRequest {
  readonly model: string
  /** The most tokens of a window. */
  readonly tokensPerWindow: number
  /** Parts of this text that exist: they stay where the text is unchanged. */
  readonly kept: readonly CutPart[]
}

interface CutterParts {
  readonly fleet: Pick<EngineFleet, 'pick'>
  readonly scales: Pick<TokenScales, 'of'>
}

/** How a part is counted, and how much of the window is not text. */
interface Measure extends CutRequest {
  readonly title: string
  readonly rules: PieceRules
  readonly overhead: number
  readonly count: (text: string) => Promise<number>
}

/** Calls of the tokenizer at once: enough to hide the latency to the engine, and few compared to those of chats. */
const COUNTS_AT_ONCE = 4
/** Fewer tokens of text in a window are not worth its frame. */
const MIN_TEXT_TOKENS = 32
/** Below the exact share, because cutting at other places changes a few tokens. */
const MARGIN = 0.97
/** Each time a part is cut again it becomes smaller. */
const MAX_ROUNDS = 24

export class PartCutter {
  readonly #parts: CutterParts

  constructor(parts: CutterParts) {
    this.#parts = parts
  }

  /**
   * Throws `NOT_SUPPORTED` if the engine cannot count, `INVALID_FIELD` if `tokensPerWindow` leaves no room for text, and what the engine
   * throws. Aborting ends the calls.
   */
  async cut(given: GivenText, request: CutRequest, options: CallOptions): Promise<CutPart[]> {
    const { fleet, scales } = this.#parts
    const engine = await fleet.pick({ model: request.model })
    const scale = await scales.of(engine, request.model, options.apiKey)
    const sizeOf = (text: string) => typicalTokens(text, scale)
    const count = (text: string) => countPart(engine, request.model, given.title, text, options)
    const overhead = (await count('.')) - 1
    const maxSize = request.tokensPerWindow - overhead
    if (maxSize < MIN_TEXT_TOKENS) throw tooSmall(request.tokensPerWindow, overhead)
    const rules = { format: given.format, maxSize, sizeOf }
    const measure = { ...request, title: given.title, rules, overhead, count }
    const known = new Map(request.kept.map(({ text, tokens }) => [text, tokens]))
    const texts = cutText(
      given.text,
      rules,
      request.kept.map(({ text }) => text),
    )
    const parts = await inParallel(texts, COUNTS_AT_ONCE, async (text) => {
      const tokens = known.get(text)
      return tokens === undefined ? await fitText(text, measure, 0) : [{ text, tokens }]
    })
    return parts.flat()
  }
}

async function countPart(
  engine: Engine,
  model: string,
  title: string,
  text: string,
  options: CallOptions,
): Promise<number> {
  const tokens = await engine.countTokens(partPrompt(model, title, text), options)
  if (tokens !== undefined) return tokens
  throw new CwmError(
    'NOT_SUPPORTED',
    'the engine cannot count tokens, so texts cannot be cut exactly; create windows with PUT /cwm/v1/windows/NAME instead',
    { param: 'model' },
  )
}

/** The text as one part, or cut again until each part fits. */
async function fitText(text: string, measure: Measure, round: number): Promise<CutPart[]> {
  const { rules, overhead, tokensPerWindow } = measure
  const tokens = await measure.count(text)
  if (tokens <= tokensPerWindow) return [{ text, tokens }]
  const estimate = rules.sizeOf(text)
  const share = Math.min(MARGIN * (rules.maxSize / (tokens - overhead)), round < 2 ? 1 : 1 / 2)
  const texts = cutText(text, { ...rules, maxSize: Math.max(1, Math.floor(estimate * share)) })
  if (texts.length < 2 || round === MAX_ROUNDS) throw tooSmall(tokensPerWindow, overhead)
  const parts: CutPart[] = []
  for (const one of texts) parts.push(...(await fitText(one, measure, round + 1)))
  return parts
}

function tooSmall(tokensPerWindow: number, overhead: number): CwmError {
  return new CwmError(
    'INVALID_FIELD',
    `tokens_per_window: ${tokensPerWindow} tokens leave no room for text, because the title and the chat template take ${overhead} of them; use a larger number`,
    { param: 'tokens_per_window' },
  )
}
