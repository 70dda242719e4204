// The render endpoints, which return a request's token ids. vLLM answers 403 unless it was started with --enable-scale-out.

import type { JsonObject } from '../base/json.ts'
import { chatIds } from './chat-request.ts'
import { completionPrompts } from './completions.ts'
import { EngineError } from './errors.ts'
import { newId, newUnderscoreId } from './ids.ts'
import { asChat as messagesAsChat } from './messages.ts'
import {
  adapterOf,
  booleanField,
  numberField,
  objectBody,
  requireFields,
  saltOf,
  stopStrings,
  tokensAllowed,
} from './request-body.ts'
import { messagesOf, asChat as responsesAsChat } from './responses.ts'
import type { Handler, Routes } from './routes.ts'
import type { Core } from './turn.ts'

export function renderRoutes(core: Core): Routes {
  const handlers: Record<string, (body: JsonObject) => unknown> = {
    '/v1/chat/completions': (body) => chatRendered(core, body, body, newId('chatcmpl')),
    '/v1/messages': (body) => chatRendered(core, body, messagesAsChat(body), newId('chatcmpl')),
    '/v1/responses': (body) =>
      chatRendered(core, body, responsesAsChat(body, messagesOf(body)), newUnderscoreId('resp')),
    '/v1/completions': (body) => completionsRendered(core, body),
  }
  return Object.fromEntries(
    Object.entries(handlers).map(([path, render]): [string, Handler] => [
      `POST ${path}/render`,
      (request) => {
        if (core.settings.scaleOut) return { status: 200, json: render(objectBody(request)) }
        throw new EngineError(
          403,
          'Scale-out endpoints are disabled. Restart vllm serve with --enable-scale-out to enable them.',
        )
      },
    ]),
  )
}

function chatRendered(core: Core, body: JsonObject, chat: JsonObject, id: string): unknown {
  requireFields(chat, ['messages'])
  adapterOf(chat, core.settings)
  saltOf(chat)
  const asked = numberField(chat, 'max_completion_tokens') ?? numberField(chat, 'max_tokens')
  return generateRequest(core, body, chatIds(core, chat), id, asked)
}

function completionsRendered(core: Core, body: JsonObject): unknown {
  adapterOf(body, core.settings)
  saltOf(body)
  return completionPrompts(body).map((ids) =>
    generateRequest(core, body, ids, newId('cmpl'), numberField(body, 'max_tokens') ?? 16),
  )
}

function generateRequest(
  core: Core,
  body: JsonObject,
  ids: readonly number[],
  id: string,
  asked: number | undefined,
): unknown {
  const { settings } = core
  return {
    request_id: id,
    token_ids: ids,
    token_offsets: null,
    features: null,
    content_parts: null,
    sampling_params: {
      presence_penalty: 0,
      frequency_penalty: 0,
      repetition_penalty: 1,
      temperature: body.temperature ?? 1,
      ...(body.temperature !== 0 && { top_p: body.top_p ?? 1, min_p: 0 }),
      stop: stopStrings(body),
      stop_token_ids: [],
      max_tokens: tokensAllowed(asked, ids.length, 'max_tokens', settings.maxModelLen),
      output_kind: 2,
      skip_clone: true,
      bad_words: [],
      skip_reading_prefix_cache: false,
    },
    model: body.model ?? settings.model,
    reasoning_ended: null,
    reasoning_parser_kwargs: null,
    return_token_ids: null,
    output_mode: 'tokens',
    stream: booleanField(body, 'stream'),
    stream_options: body.stream_options ?? null,
    cache_salt: body.cache_salt ?? null,
    priority: 0,
    kv_transfer_params: null,
    ec_transfer_params: null,
  }
}
