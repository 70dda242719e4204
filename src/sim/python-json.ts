// JSON as Python's `json.dumps` writes it (", " and ": "), which is what a chat template's `tojson` puts into the prompt.

import { isObject } from '../base/json.ts'

/** `json.dumps(value, ensure_ascii=False)`. */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`
  if (isObject(value)) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined)
    return `{${fields.map(([key, field]) => `${JSON.stringify(key)}: ${pythonJson(field)}`).join(', ')}}`
  }
  return JSON.stringify(value ?? null)
}

/** `repr` of a string, as pydantic's error messages quote it. */
export function pythonString(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
