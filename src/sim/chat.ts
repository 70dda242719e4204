// POST /v1/chat/completions, in the format recorded from vLLM 0.32. chat-stream.ts has the streamed answer.

import { type ChatRequest, chatTurn } from './chat-request.ts'
import { finishReason, type Head, wholeUsage } from './chat-shape.ts'
import { chatEvents } from './chat-stream.ts'
import type { Prefill } from './engine.ts'
import { FINGERPRINT, newId } from './ids.ts'
import { booleanField, objectBody, requireFields, streamOptions } from './request-body.ts'
import { type Answer, type Handler, nowSeconds } from './routes.ts'
import { type Core, runWhole, spokenText, toolCallsOf } from './turn.ts'

export function chatRoute(core: Core): Handler {
  return async (request): Promise<Answer> => {
    const body = objectBody(request)
    requireFields(body, ['messages'])
    const stream = booleanField(body, 'stream')
    const options = streamOptions(body, stream)
    const chat = chatTurn(core, body)
    const head = { id: newId('chatcmpl'), created: nowSeconds(), model: String(body.model ?? core.settings.model) }
    if (stream) return { status: 200, events: chatEvents(core, chat, head, options, request.signal) }
    const prefill = await runWhole(core, chat.turn, request.signal)
    return { status: 200, json: wholeAnswer(core, chat, head, prefill) }
  }
}

function wholeAnswer(core: Core, { body, turn, tools }: ChatRequest, head: Head, prefill: Prefill): unknown {
  const withIds = booleanField(body, 'return_token_ids')
  const choices = turn.generations.map((generation, index) => {
    const calls = toolCallsOf(generation)
    const content = spokenText(generation, 'content')
    return {
      index,
      message: {
        role: 'assistant',
        content: calls.length > 0 && content === '' ? (tools.required || tools.named ? '' : null) : content,
        refusal: null,
        annotations: null,
        audio: null,
        function_call: null,
        ...(calls.length > 0 && {
          tool_calls: calls.map((call) => ({ id: newId('chatcmpl-tool'), type: 'function', function: call })),
        }),
        reasoning: spokenText(generation, 'reasoning') || null,
      },
      logprobs: null,
      finish_reason: finishReason(generation, tools),
      stop_reason: generation.stopReason,
      token_ids: withIds ? generation.ids : null,
      routed_experts: null,
    }
  })
  return {
    id: head.id,
    object: 'chat.completion',
    created: head.created,
    model: head.model,
    choices,
    service_tier: null,
    system_fingerprint: FINGERPRINT,
    usage: wholeUsage(core, turn, prefill, prefill.created),
    prompt_logprobs: null,
    prompt_token_ids: withIds ? turn.ids : null,
    prompt_text: null,
    kv_transfer_params: null,
    ec_transfer_params: null,
    metrics: null,
  }
}
