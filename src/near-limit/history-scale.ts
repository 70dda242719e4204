// Compares the engine's token count of a history's words with the local estimate. Each block is counted once.

import type { JsonValue } from '../base/json.ts'
import { withoutMedia } from '../dialects/media.ts'
import { digestOf } from '../limits/rollover.ts'
import { type TokenScale, typicalTokens } from '../limits/typical.ts'
import { wordsOf } from '../limits/typical-messages.ts'
import type { BlockScales } from './block-scales.ts'
import { countOrUndefined, type MeasureParts, type MeasureRequest } from './measure.ts'

export interface HistoryScaleParts extends Pick<MeasureParts, 'metrics'> {
  readonly blocks: BlockScales
}

export interface HistoryScaleRequest extends Pick<MeasureRequest, 'rules' | 'outgoing' | 'engine' | 'call'> {
  /** Estimated tokens of a message. */
  readonly estimate: (message: JsonValue) => number
  readonly scale: TokenScale
  /** Tokens available for all messages. */
  readonly room: number
}

/** Blocks that fill the available room. No message can be cut before the first block is complete. */
const BLOCKS = 4
/** Smaller blocks are not counted: that would be one call per message. */
const MIN_BLOCK_TOKENS = 64
/** No text has more characters per estimated token. A single message may be far larger than a block. */
const CHARACTERS_PER_TOKEN = 16

/**
 * The factor for each message's estimate; empty means no scaling. Words are counted without a template, which might reject a block that
 * starts with a reply. Throws what the engine call throws, except for a final refusal.
 */
export async function factorsOf(parts: HistoryScaleParts, request: HistoryScaleRequest): Promise<readonly number[]> {
  const { rules, outgoing, engine, estimate, scale, room, call } = request
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
      const tokens = await countOrUndefined(parts, () => engine.countText(model, text, call))
      return tokens === undefined ? undefined : tokens / typicalTokens(text, scale)
    },
  })
}
