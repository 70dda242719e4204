// Reads fields of a Hugging Face config.json. Errors name the field, because a field that is read wrongly gives a plausible wrong plan.

import { CwmError } from '../base/errors.ts'
import { isObject, type JsonObject, type JsonValue, parseJson } from '../base/json.ts'

/** Longer lists of layers do not exist; a larger number is a mistake. */
const MAX_COUNT = 10_000_000

export function refuse(field: string, problem: string): CwmError {
  return new CwmError(
    'INVALID_FIELD',
    `config.json: \`${field}\` ${problem}; measure instead: cwm plan --window NAME with a frozen window of this model`,
    { param: field },
  )
}

/** Python writes `Infinity` and `NaN` into such files (Nemotron-H), which JSON does not have. Throws if it is no JSON otherwise. */
export function parseConfig(text: string): JsonValue {
  const parsed = parseJson(text) ?? parseJson(text.replaceAll(/(?<=[[:,\s])-?(?:Infinity|NaN)(?=\s*[,\]}])/g, 'null'))
  if (parsed === undefined) throw refuse('(root)', 'is no valid JSON')
  return parsed
}

/** The language model of the file: multimodal models have it under `text_config` (or `llm_config`). */
export function languageModelOf(config: JsonValue): JsonObject {
  if (!isObject(config)) throw refuse('(root)', 'must be a JSON object')
  for (const field of ['text_config', 'llm_config']) {
    const inner = config[field]
    if (isObject(inner)) return inner
  }
  return config
}

/** The first of these fields that is a count, or undefined. Throws if it is anything else. */
export function countOf(config: JsonObject, fields: readonly string[]): number | undefined {
  for (const field of fields) {
    const value = config[field]
    if (value === undefined || value === null) continue
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > MAX_COUNT) {
      throw refuse(field, `must be a whole number from 1 to ${MAX_COUNT}`)
    }
    return value
  }
  return undefined
}

/** The same, for a field without which nothing can be computed. */
export function requireCount(config: JsonObject, fields: readonly string[]): number {
  const found = countOf(config, fields)
  if (found === undefined) throw refuse(fields[0] ?? '', 'is missing')
  return found
}
