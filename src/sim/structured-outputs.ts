// `structured_outputs` as far as a simulator needs it: one choice, or a pattern that matches a single text. Tests use it to make the real
// engine, whose model produces noise, answer with a known text; it has the same effect here.

import { isObject, type JsonObject, type JsonValue, parseJson } from '../base/json.ts'
import type { Reply } from './engine.ts'
import type { ToolOffer } from './tool-offer.ts'

const CALL = /<tool_call>([\s\S]*?)<\/tool_call>/g

/** The only reply that a request allows. A tool call in Hermes' markup becomes one if tools are offered. */
export function fixedReply(body: JsonObject, tools: ToolOffer): Reply | undefined {
  const outputs = body.structured_outputs
  if (!isObject(outputs)) return undefined
  const text = Array.isArray(outputs.choice) ? outputs.choice[0] : literalOf(outputs.regex)
  if (typeof text !== 'string') return undefined
  const calls = tools.names.length > 0 ? [...text.matchAll(CALL)].flatMap((match) => callOf(match[1] ?? '')) : []
  return calls.length > 0 ? { toolCalls: calls } : { content: text }
}

function callOf(markup: string): { name: string; arguments: string }[] {
  const call = parseJson(markup)
  const given = markup.match(/"arguments":\s*([\s\S]*)\}\s*$/)?.[1]
  return isObject(call) ? [{ name: String(call.name), arguments: given ?? '{}' }] : []
}

const literalOf = (pattern: JsonValue | undefined): string | undefined =>
  typeof pattern === 'string' ? pattern.replaceAll('\\n', '\n').replace(/\\([^n])/g, '$1') : undefined
