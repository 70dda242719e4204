// POST /v1/chat/completions, in the format recorded from vLLM 0.32. chat-stream.ts has the streamed answer.

import type { JsonValue } from '../base/json.ts'
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

/** POST /v1/chat/completions/batch: `messages` is a list of conversations, and each gets a choice. All run under the one salt of the body. */
export function batchRoute(core: Core): Handler {
  return async (request): Promise<Answer> => {
    const body = objectBody(request)
    requireFields(body, ['messages'])
    const { messages } = body
    const conversations: readonly JsonValue[] = Array.isArray(messages) ? messages : []
    const head = { id: newId('chatcmpl'), created: nowSeconds(), model: String(body.model ?? core.settings.model) }
    const answers: ReturnType<typeof wholeAnswer>[] = []
    for (const conversation of conversations) {
      const chat = chatTurn(core, { ...body, messages: conversation })
      answers.push(wholeAnswer(core, chat, head, await runWhole(core, chat.turn, request.signal)))
    }
    const sum = (field: 'prompt_tokens' | 'completion_tokens' | 'total_tokens') =>
      answers.reduce((total, { usage }) => total + usage[field], 0)
    const usage = {
      prompt_tokens: sum('prompt_tokens'),
      total_tokens: sum('total_tokens'),
      completion_tokens: sum('completion_tokens'),
    }
    const choices = answers.flatMap((answer) => answer.choices).map((choice, index) => ({ ...choice, index }))
    return { status: 200, json: { ...answers[0], choices, usage } }
  }
}

function wholeAnswer(core: Core, { body, turn, tools }: ChatRequest, head: Head, prefill: Prefill) {
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
