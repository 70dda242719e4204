// The JSON value, as parsed: what a body, a message or a shaping field is made of.

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject
export interface JsonObject {
  readonly [key: string]: JsonValue | undefined
}

/** Tells an object from an array, null and the scalars. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `JSON.parse` that answers undefined instead of throwing. */
export function parseJson(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    return undefined
  }
}

/** Whether objects and lists stand more than `levels` deep in one another. Walks without recursion: no input can exhaust the stack. */
export function isDeeperThan(root: JsonObject, levels: number): boolean {
  const open: { value: object; depth: number }[] = [{ value: root, depth: 1 }]
  for (let entry = open.pop(); entry !== undefined; entry = open.pop()) {
    if (entry.depth > levels) return true
    const depth = entry.depth + 1
    // An array of ids has 100,000 numbers: its values are walked without making a list of them.
    const values = Array.isArray(entry.value) ? (entry.value as unknown[]) : Object.values(entry.value)
    for (const value of values) if (typeof value === 'object' && value !== null) open.push({ value, depth })
  }
  return false
}
