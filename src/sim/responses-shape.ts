// The response object of POST /v1/responses and its output items, with their fields in the recorded order.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { Prefill } from './engine.ts'
import { numberField } from './request-body.ts'
import { type Core, completionTokens, type Turn } from './turn.ts'

/** A response in progress. */
export interface Draft {
  readonly body: JsonObject
  readonly turn: Turn
  readonly head: { readonly id: string; readonly created_at: number; readonly model: string }
}

/** The response object, with its fields in the recorded order. */
export function responseOf(
  { body, turn, head }: Draft,
  state: { readonly output: readonly JsonObject[]; readonly usage: JsonObject | null; readonly done: boolean },
): JsonObject {
  const cut = state.done && turn.generations[0]?.ended === 'length'
  const offered = Array.isArray(body.tools) && body.tools.length > 0
  const maxTokens = numberField(body, 'max_output_tokens')
  return {
    id: head.id,
    created_at: head.created_at,
    incomplete_details: cut ? { reason: 'max_output_tokens' } : null,
    instructions: body.instructions ?? null,
    metadata: body.metadata ?? null,
    model: head.model,
    object: 'response',
    output: state.output,
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    temperature: body.temperature ?? 1,
    tool_choice: offered ? (body.tool_choice ?? 'auto') : 'none',
    tools: offered ? (body.tools as readonly JsonValue[]).filter(isObject).map(toolItem) : [],
    top_p: body.top_p ?? 1,
    background: false,
    // Without a requested limit, vLLM reports how many tokens fit. The value here is arbitrary.
    max_output_tokens: maxTokens ?? turn.ids.length,
    max_tool_calls: null,
    previous_response_id: body.previous_response_id ?? null,
    prompt: null,
    reasoning: body.reasoning ?? null,
    service_tier: 'auto',
    status: state.done ? (cut ? 'incomplete' : 'completed') : 'in_progress',
    text: body.text ?? null,
    top_logprobs: null,
    truncation: 'disabled',
    usage: state.usage,
    user: body.user ?? null,
    presence_penalty: 0,
    frequency_penalty: 0,
    kv_transfer_params: null,
    ec_transfer_params: null,
    input_messages: null,
    output_messages: null,
  }
}

function toolItem(tool: JsonObject): JsonObject {
  const { name, parameters, strict, description } = tool
  const rest = {
    allowed_callers: null,
    async: null,
    defer_loading: null,
    description: description ?? null,
    output_schema: null,
  }
  return { name, parameters: parameters ?? null, strict: strict ?? null, type: 'function', ...rest }
}

export function usageOf(core: Core, turn: Turn, { cached }: Prefill): JsonObject {
  const output = completionTokens(turn)
  return {
    input_tokens: turn.ids.length,
    input_tokens_details: {
      cached_tokens: core.settings.promptTokensDetails ? cached : 0,
      cache_write_tokens: 0,
      input_tokens_per_turn: [],
      cached_tokens_per_turn: [],
    },
    output_tokens: output,
    output_tokens_details: {
      reasoning_tokens: 0,
      tool_output_tokens: 0,
      output_tokens_per_turn: [],
      tool_output_tokens_per_turn: [],
    },
    total_tokens: turn.ids.length + output,
  }
}

/** A message item; `part` is undefined until there is text. */
export function messageItem(id: string, status: string, text?: string): JsonObject {
  const content = text === undefined ? [] : [{ annotations: [], text, type: 'output_text', logprobs: null }]
  return { id, content, role: 'assistant', status, type: 'message', phase: null }
}

export function callItem(
  id: string,
  callId: string,
  status: string,
  call: { name: string; arguments: string },
): JsonObject {
  const rest = { async: null, caller: null, namespace: null, status }
  return { arguments: call.arguments, call_id: callId, name: call.name, type: 'function_call', id, ...rest }
}
