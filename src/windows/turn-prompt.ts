// The prompt of a finished turn, read from the bytes sent to the upstream and the reply that came back.

import { isObject, type JsonValue, parseJson } from '../base/json.ts'
import { messageRulesOf } from '../dialects/index.ts'
import type { RetainedTurn } from '../sessions/retained.ts'
import type { RetainedPrompt } from '../store/store-values.ts'
import type { TurnPrompt } from './parts.ts'

/**
 * Only messages and shaping fields: salt, sampling and all other body fields are dropped. A turn that continues a stored response yields no
 * messages, because the engine holds what came before. Not for a dialect without messages.
 */
export function readTurnPrompt({ dialect, body, reply, promptTokens }: RetainedTurn): TurnPrompt {
  const rules = messageRulesOf(dialect)
  const parsed = parseJson(body.toString('utf8'))
  const json = isObject(parsed) ? parsed : {}
  const isContinuation = rules.stored?.continued(json) !== undefined
  const messages = isContinuation ? [] : rules.readMessages(json)
  const shaping: Record<string, JsonValue> = {}
  for (const field of rules.shapingFields) {
    const value = json[field]
    if (value !== undefined && value !== null) shaping[field] = value
  }
  const model = typeof json.model === 'string' ? json.model : ''
  const prompt = { dialect, model, messages: isContinuation ? [] : [...messages, ...reply], shaping }
  return { prompt, replyAt: messages.length, promptTokens }
}

/** The same, with everything that a later freeze needs. */
export function toRetainedPrompt(turn: RetainedTurn): RetainedPrompt {
  const { prompt, replyAt, promptTokens } = readTurnPrompt(turn)
  const { clientSalt, lineage, parent, parentId } = turn
  return {
    prompt,
    replyAt,
    ...(promptTokens === undefined ? {} : { promptTokens }),
    ...(clientSalt === undefined ? {} : { clientSalt }),
    lineage,
    ...(parent === undefined ? {} : { parent }),
    ...(parentId === undefined ? {} : { parentId }),
  }
}
