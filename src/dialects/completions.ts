// POST /v1/completions: a bare prompt. It has no messages, so only a name can tell its session; its usage is read all the same.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { Usage } from '../base/records.ts'
import { type DialectRules, type Observation, textOf } from './dialect.ts'
import { chatUsage, readOpenAiUsage } from './openai-usage.ts'

function observe(bodies: readonly JsonObject[]): Observation {
  let usage: Usage | undefined
  let finished = 0
  let failed = false
  const seen = new Set<JsonValue | undefined>()
  for (const body of bodies) {
    if (body.error !== undefined && body.error !== null) failed = true
    usage = readOpenAiUsage(body.usage, chatUsage) ?? usage
    const choices = Array.isArray(body.choices) ? (body.choices as readonly JsonValue[]) : []
    for (const choice of choices.filter(isObject)) {
      seen.add(choice.index)
      if (textOf(choice.finish_reason) !== undefined) finished++
    }
  }
  const complete = !failed && seen.size > 0 && finished >= seen.size
  return usage === undefined ? { choices: [], complete } : { usage, choices: [], complete }
}

export const completionsRules: DialectRules = {
  dialect: 'completions',
  messagesField: undefined,
  shapingFields: [],
  readMessages: () => [],
  outerSystem: () => undefined,
  canonical: () => ({ text: undefined, fromModel: false }),
  probe: () => [],
  isSystem: () => false,
  observeJson: (body) => observe([body]),
  observeEvents: observe,
}
