// Converts answers of windows to REST types.

import type { AskReceipt, WindowAnswer } from '../ask/ask-window.ts'
import type {
  AnsweredWindow,
  AskEvent,
  FailedWindow,
  ManyAnswer,
  ManyReceipt,
  Reduction,
} from '../ask/many-question.ts'
import type { CwmError } from '../base/errors.ts'
import type { Usage } from '../base/records.ts'
import { openAiError } from '../dialects/errors.ts'
import type { WindowAnswerJson } from '../wire/asks.ts'
import type {
  AnsweredWindowJson,
  FailedWindowJson,
  ManyAnswerJson,
  ManyAskEvents,
  ManyReceiptJson,
  ReductionJson,
} from '../wire/many-asks.ts'
import { tiersToWire, usageToWire } from './to-wire.ts'

export function answerToWire({ text, usage, receipt }: WindowAnswer): WindowAnswerJson {
  return { window: receipt.window, answer: text, usage: usageOf(usage), receipt: receiptToWire(receipt) }
}

export function manyAnswerToWire(answer: ManyAnswer): ManyAnswerJson {
  const { reduction, reductionError } = answer
  return {
    answers: answer.answers.map(answeredToWire),
    failed: answer.failed.map(failedToWire),
    reduction: reduction === undefined ? null : reductionToWire(reduction),
    reduction_error: reductionError === undefined ? null : errorOf(reductionError),
    receipt: manyReceiptToWire(answer.receipt),
  }
}

/** The data of an event. */
export function eventToWire(event: AskEvent): ManyAskEvents[AskEvent['type']] {
  switch (event.type) {
    case 'started':
      return { windows: event.windows, parallel: event.parallel }
    case 'window':
      return answeredToWire(event)
    case 'window_error':
      return failedToWire(event)
    case 'text':
      return { text: event.text }
    case 'reduction':
      return reductionToWire(event)
    case 'reduction_error':
      return { error: errorOf(event.error) }
    case 'receipt':
      return manyReceiptToWire(event.receipt)
  }
}

function answeredToWire({ window, answer, passage, usage, receipt }: AnsweredWindow): AnsweredWindowJson {
  return {
    window,
    answer,
    passage: passage === null ? null : { text: passage.text, message: passage.message },
    usage: usageOf(usage),
    receipt: receiptToWire(receipt),
  }
}

function failedToWire({ window, error }: FailedWindow): FailedWindowJson {
  return { window, error: errorOf(error) }
}

function reductionToWire({ answer, window, usage, finishReason }: Reduction): ReductionJson {
  return { answer, window, usage: usageOf(usage), finish_reason: finishReason }
}

function receiptToWire(receipt: AskReceipt): WindowAnswerJson['receipt'] {
  return {
    restored_tokens: receipt.restoredTokens,
    computed_tokens: receipt.computedTokens,
    reasoning_tokens: receipt.reasoningTokens,
    tiers_before: tiersToWire(receipt.tiersBefore),
    finish_reason: receipt.finishReason,
    drift: receipt.drift,
    first_token_ms: receipt.firstTokenMs,
    compute_ms: receipt.computeMs,
    branch_kv: 'until_evicted',
    ms: { ...receipt.ms },
    warnings: [...receipt.warnings],
    notes: [...receipt.notes],
  }
}

function manyReceiptToWire({ reduction, budget, ...receipt }: ManyReceipt): ManyReceiptJson {
  return {
    windows: receipt.windows,
    answered: receipt.answered,
    not_found: receipt.notFound,
    failed: receipt.failed,
    parallel: receipt.parallel,
    restored_tokens: receipt.restoredTokens,
    computed_tokens: receipt.computedTokens,
    prompt_tokens: receipt.promptTokens,
    completion_tokens: receipt.completionTokens,
    budget:
      budget === undefined
        ? null
        : { tokens: budget.tokens, estimated_tokens: budget.estimatedTokens, stopped: budget.stopped },
    reduction: {
      model: reduction.model,
      rounds: reduction.rounds,
      calls: reduction.calls,
      prompt_tokens: reduction.promptTokens,
      completion_tokens: reduction.completionTokens,
    },
    ms: receipt.ms,
    warnings: [...receipt.warnings],
    notes: [...receipt.notes],
  }
}

function usageOf(usage: Usage | undefined): WindowAnswerJson['usage'] {
  return usage === undefined ? null : usageToWire(usage)
}

function errorOf(error: CwmError): FailedWindowJson['error'] {
  return openAiError(error).error
}
