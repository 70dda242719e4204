// POST /v1/completions: a bare prompt. It has no messages, so its session can only be found by name. Its usage is read like any other.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { Usage } from '../base/records.ts'
import type { DeltaRules } from '../sse/deltas.ts'
import { DONE, onlyChoice } from './chat.ts'
import type { Choice, DialectRules, Observation } from './dialect.ts'
import { openAiErrors } from './errors.ts'
import { countOf, textMessage, textOf } from './fields.ts'
import { chatUsage, readOpenAiUsage } from './openai-usage.ts'

/** The default if a completion sets none; null means no bound: docs/engine-behavior.md#default-answer-length. */
const DEFAULT_MAX_TOKENS = 16

function observe(bodies: readonly JsonObject[]): Observation {
  let usage: Usage | undefined
  let failed = false
  const finishReasons = new Map<JsonValue | undefined, string | undefined>()
  for (const body of bodies) {
    if (body.error !== undefined && body.error !== null) failed = true
    usage = readOpenAiUsage(body.usage, chatUsage) ?? usage
    const listed = Array.isArray(body.choices) ? (body.choices as readonly JsonValue[]) : []
    for (const { index, finish_reason: reason } of listed.filter(isObject)) {
      finishReasons.set(index, textOf(reason) ?? finishReasons.get(index))
    }
  }
  // The text of a completion belongs to no history, so there are no messages.
  const choices = [...finishReasons.values()].map((finishReason): Choice => {
    return finishReason === undefined ? { messages: [] } : { messages: [], finishReason }
  })
  const complete = !failed && choices.length > 0 && choices.every((choice) => choice.finishReason !== undefined)
  return usage === undefined ? { choices, complete } : { usage, choices, complete }
}

const deltas: DeltaRules = {
  textOf: (event) => textOf(onlyChoice(event)?.text),
  withText: (event, text) => ({ ...event, choices: [{ ...onlyChoice(event), text }] }),
}

export const completionsRules: DialectRules = {
  dialect: 'completions',
  title: 'completions',
  path: '/v1/completions',
  plainPaths: {},
  errors: openAiErrors('prompt'),
  stored: undefined,
  checkServerState: () => {},
  messagesField: undefined,
  shapingFields: [],
  slightFields: [],
  vocabulary: { partFields: [], textParts: [], mediaParts: [], calls: [], results: [], toolFields: [] },
  readMessages: () => [],
  systemField: undefined,
  systemPartType: 'text',
  newSystem: 'message',
  outerSystem: () => undefined,
  canonical: () => ({ text: undefined, fromModel: false }),
  isFromModel: () => false,
  probe: () => [],
  textMessage,
  isSystem: () => false,
  toolCallIds: () => [],
  toolResultIds: () => [],
  toolCalls: () => [],
  maxTokens: (body) => (body.max_tokens === undefined ? DEFAULT_MAX_TOKENS : countOf(body.max_tokens)),
  cutReason: 'length',
  renderFields: undefined,
  toChat: () => undefined,
  usageOnRequest: true,
  observeJson: (body) => observe([body]),
  observeEvents: observe,
  deltas,
  questions: undefined,
  terminalLines: DONE,
}
