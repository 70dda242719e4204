// How the engine's tokenizer counts a history's own words, beside the local estimate: asked once for each block of it.

import type { JsonValue } from '../base/json.ts'
import { withoutMedia } from '../dialects/media.ts'
import { digestOf } from '../limits/rollover.ts'
import { type TokenScale, typicalTokens } from '../limits/typical.ts'
import { wordsOf } from '../limits/typical-messages.ts'
import type { BlockScales } from './block-scales.ts'
import { countOrUndefined, type MeasureParts, type MeasureRequest } from './measure.ts'

export interface HistoryScaleParts extends Pick<MeasureParts, 'engine' | 'metrics'> {
  readonly blocks: BlockScales
}

export interface HistoryScaleRequest extends Pick<MeasureRequest, 'rules' | 'outgoing' | 'call'> {
  /** Estimated tokens of a message. */
  readonly estimate: (message: JsonValue) => number
  readonly scale: TokenScale
  /** Tokens that all messages may have. */
  readonly room: number
}

/** So many blocks fill the room, and none can be cut before the first is complete. */
const BLOCKS = 4
/** Smaller ones are not asked for: each message would be a call. */
const MIN_BLOCK_TOKENS = 64
/** No text has more characters for each token of the estimate; a single message may be far larger than a block. */
const CHARACTERS_PER_TOKEN = 16

/**
 * By how much each message's estimate is to be multiplied; empty: by nothing. Words are counted without a template, which might refuse a block
 * that begins with a reply. Throws what asking the engine throws, but for a refusal that is final.
 */
export async function factorsOf(parts: HistoryScaleParts, request: HistoryScaleRequest): Promise<readonly number[]> {
  const { rules, outgoing, estimate, scale, room, call } = request
  const { model, messages } = outgoing
  const blockTokens = Math.floor(room / BLOCKS)
  if (blockTokens < MIN_BLOCK_TOKENS) return []
  return await parts.blocks.of({
    messages,
    blockTokens,
    estimate,
    keyOf: (block) => JSON.stringify([model, blockTokens, digestOf(block, rules)]),
    ratioOf: async (block) => {
      const words = block.flatMap((message) => wordsOf(withoutMedia(message).text)).join('\n')
      const text = words.slice(0, blockTokens * CHARACTERS_PER_TOKEN)
      if (text === '') return undefined
      const tokens = await countOrUndefined(parts, () => parts.engine.countText(model, text, call))
      return tokens === undefined ? undefined : tokens / typicalTokens(text, scale)
    },
  })
}
