// Bounds given content before it reaches the engine's tokenizer: megabytes of text would block the tokenizer for everyone for a minute.

import { CwmError } from '../base/errors.ts'
import { isObject, type JsonValue } from '../base/json.ts'
import type { Prompt } from '../base/records.ts'
import { vocabulary } from '../dialects/index.ts'
import type { CallOptions } from '../engines/engine.ts'
import type { WindowParts } from './parts.ts'

/** See docs/engine-behavior.md#tokenizer-bound. */
const MAX_CHARACTERS_PER_TOKEN = 64

/**
 * Throws `INVALID_FIELD` for a model that the engine does not list, and for more text than any tokenizer could fit into the limit. Throws
 * what listing the engine's models throws.
 */
export async function checkFits(
  { fleet }: Pick<WindowParts, 'fleet'>,
  prompt: Prompt,
  { apiKey }: CallOptions,
): Promise<void> {
  const { models } = await fleet.pick({ model: prompt.model })
  const model = await models.find(prompt.model, apiKey)
  if (model === undefined) {
    throw new CwmError('INVALID_FIELD', `the engine lists no model ${prompt.model}`, { param: 'model' })
  }
  if (model.limit === undefined) return
  const max = model.limit * MAX_CHARACTERS_PER_TOKEN
  const characters = countText([...prompt.messages, prompt.shaping])
  if (characters <= max) return
  throw new CwmError(
    'INVALID_FIELD',
    `${characters} characters cannot fit the ${model.limit} tokens of ${prompt.model} (at most ${max} characters)`,
    { param: 'messages' },
  )
}

/** Characters of all text. Media are not tokenized and do not count. */
function countText(values: readonly (JsonValue | undefined)[]): number {
  let characters = 0
  const open: unknown[] = [...values]
  while (open.length > 0) {
    const value = open.pop()
    if (typeof value === 'string') characters += value.length
    else if (Array.isArray(value)) for (const item of value as unknown[]) open.push(item)
    else if (isObject(value)) {
      for (const [key, item] of Object.entries(value)) {
        const holdsParts = vocabulary.partFields.includes(key) && Array.isArray(item)
        open.push(holdsParts ? item.filter((part: JsonValue) => !isMedia(part)) : item)
      }
    }
  }
  return characters
}

function isMedia(part: JsonValue): boolean {
  return isObject(part) && vocabulary.mediaParts.has(part.type)
}
