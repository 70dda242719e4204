// The likely token count of a message that may contain media.

import type { JsonValue } from '../base/json.ts'
import { withoutMedia } from '../dialects/media.ts'
import type { TokenScale } from './typical.ts'
import { typicalTokensOfMessage } from './typical-messages.ts'

/** Estimated tokens of an image. The engine's count decides. */
export const MEDIA_TOKENS = 1024

/** Tokens of one message or input item, media included. Must be deterministic, because cuts depend on it. It therefore ignores reported usage. */
export function estimatedTokens(message: JsonValue, scale?: TokenScale): number {
  const { text, media } = withoutMedia(message)
  return typicalTokensOfMessage(text, scale) + media * MEDIA_TOKENS
}
