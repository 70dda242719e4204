// Parsed JSON values: bodies, messages and shaping fields consist of them.

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject
export interface JsonObject {
  readonly [key: string]: JsonValue | undefined
}

/**
 * Maximum levels of nested objects and lists in a body, which makes recursion safe. Not a setting: Python's parser, which engines use,
 * fails near 1,000 levels, and no tool schema comes close.
 */
export const MAX_DEPTH = 512

/** Whether the value is an object, not an array, null or a scalar. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Whether the value is neither absent nor null, which are equivalent. */
export function isPresent(value: JsonValue | undefined): value is JsonValue {
  return value !== undefined && value !== null
}

/** `JSON.parse` that returns undefined instead of throwing. */
export function parseJson(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    return undefined
  }
}

/** Whether objects and lists are nested more than `levels` deep. It recurses no deeper itself, so no input can exhaust the stack. */
export function isDeeperThan(value: JsonObject | readonly JsonValue[], levels: number): boolean {
  if (levels === 0) return true
  if (Array.isArray(value)) {
    for (const item of value as readonly JsonValue[]) {
      if (typeof item === 'object' && item !== null && isDeeperThan(item, levels - 1)) return true
    }
    return false
  }
  for (const key in value) {
    const member = (value as JsonObject)[key]
    if (typeof member === 'object' && member !== null && isDeeperThan(member, levels - 1)) return true
  }
  return false
}
