// Converts the answer of many windows to the reply of a chat: text and usage, or an error.

import type { ManyAnswer } from '../ask/many-question.ts'
import { sumOrNull } from '../ask/many-receipt.ts'
import type { CwmError } from '../base/errors.ts'
import type { ChatUsage } from './chat-answer.ts'

export interface ChatReply {
  readonly text: string
  readonly finishReason: string
  readonly usage: ChatUsage | undefined
}

/** Throws the error of the reduction, and if no window could be asked, that of the first one. */
export function replyOf({ reduction, reductionError, failed, receipt }: ManyAnswer): ChatReply {
  const error = reductionError ?? onlyFailures(receipt.failed === receipt.windows, failed[0]?.error)
  if (error !== undefined) throw error
  return {
    text: reduction?.answer ?? nothingFound(receipt.notFound, receipt.failed),
    finishReason: reduction?.finishReason === 'length' ? 'length' : 'stop',
    usage: usageOf(receipt),
  }
}

function onlyFailures(isTotal: boolean, first: CwmError | undefined): CwmError | undefined {
  return isTotal ? first : undefined
}

/** Written for people: a chat app shows no receipt. */
function nothingFound(notFound: number, failed: number): string {
  const text =
    notFound === 1 ? 'The window does not contain an answer.' : `None of the ${notFound} windows contains an answer.`
  return failed === 0 ? text : `${text} ${failed} could not be asked.`
}

/** Undefined if the engine reports no counts for a part of it: a partial sum would look complete. */
function usageOf({
  promptTokens,
  completionTokens,
  restoredTokens,
  reduction,
}: ManyAnswer['receipt']): ChatUsage | undefined {
  const wasReduced = reduction.calls > 0
  const prompt = sumOrNull([promptTokens, wasReduced ? reduction.promptTokens : 0])
  const completion = sumOrNull([completionTokens, wasReduced ? reduction.completionTokens : 0])
  if (prompt === null || completion === null) return undefined
  return { promptTokens: prompt, completionTokens: completion, cachedTokens: restoredTokens ?? undefined }
}
