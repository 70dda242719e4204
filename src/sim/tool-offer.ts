// Which tools a request offers, and whether it requires a call.

import { isObject, type JsonValue } from '../base/json.ts'

/** The names of the offered tools, and whether one must be called (`named`: which). */
export interface ToolOffer {
  readonly names: readonly string[]
  readonly required: boolean
  readonly named: string | undefined
}

/** Reads `tools` and `tool_choice` in OpenAI's formats, nested or flat. */
export function toolOffer(tools: JsonValue | undefined, choice: JsonValue | undefined): ToolOffer {
  const list = Array.isArray(tools) ? (tools as readonly JsonValue[]).filter(isObject) : []
  const names = list.map((tool) => String((isObject(tool.function) ? tool.function : tool).name))
  if (names.length === 0 || choice === 'none') return { names: [], required: false, named: undefined }
  const chosen = isObject(choice) ? (isObject(choice.function) ? choice.function : choice).name : undefined
  return { names, required: choice === 'required', named: typeof chosen === 'string' ? chosen : undefined }
}
