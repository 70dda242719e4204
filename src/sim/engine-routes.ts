// vLLM's HTTP server: all of its routes that the simulator implements.

import { isObject } from '../base/json.ts'
import { batchRoute, chatRoute } from './chat.ts'
import { chatIds } from './chat-request.ts'
import { completionsRoute } from './completions.ts'
import { EngineError, ValidationError } from './errors.ts'
import { newId, VERSION } from './ids.ts'
import { countTokensRoute, messagesRoute } from './messages.ts'
import { openApiOf } from './openapi.ts'
import { poolingRoutes } from './pooling.ts'
import { renderRoutes } from './render.ts'
import { adapterOf, booleanField, objectBody, requireFields } from './request-body.ts'
import { responsesRoutes } from './responses.ts'
import { type Answer, type Handler, nowSeconds, type Routes } from './routes.ts'
import { decodeIds, encodeText, unknownId } from './tokenizer.ts'
import type { Core } from './turn.ts'

/** `forget` clears the prefix cache on POST /reset_prefix_cache. */
export function engineRoutes(core: Core, forget: () => void): Routes {
  const alive: Handler = () => ({ status: 200 })
  const routes: Routes = {
    'GET /v1/models': () => ({ status: 200, json: models(core) }),
    'GET /health': alive,
    'GET /ping': alive,
    'POST /ping': alive,
    'GET /version': () => ({ status: 200, json: { version: VERSION } }),
    'GET /load': () => ({ status: 200, json: { server_load: core.engine.running } }),
    'POST /tokenize': (request) => ({ status: 200, json: tokenize(core, objectBody(request)) }),
    'POST /detokenize': (request) => ({ status: 200, json: detokenize(core, objectBody(request)) }),
    'POST /v1/chat/completions': chatRoute(core),
    'POST /v1/chat/completions/batch': batchRoute(core),
    'POST /v1/completions': completionsRoute(core),
    'POST /v1/messages': messagesRoute(core),
    'POST /v1/messages/count_tokens': countTokensRoute(core),
    ...responsesRoutes(core),
    ...renderRoutes(core),
    ...poolingRoutes(core),
    'POST /reset_prefix_cache': (): Answer => {
      forget()
      return { status: 200, json: { success: true } }
    },
  }
  return {
    ...routes,
    'GET /openapi.json': () => ({ status: 200, json: openApiOf(routes) }),
    // Mounted beside the API, so the document of the API does not list it.
    'GET /metrics': () => ({ status: 200, text: metrics(core) }),
  }
}

/** Only the size of the KV cache: docs/engine-behavior.md#cache-size. */
function metrics({ settings: { blockSize, cacheBlocks } }: Core): string {
  const labels = {
    block_size: blockSize,
    engine: 0,
    kv_cache_size_tokens: blockSize * cacheBlocks,
    num_gpu_blocks: cacheBlocks,
  }
  const listed = Object.entries(labels).map(([name, value]) => `${name}="${value}"`)
  return `vllm:cache_config_info{${listed.join(',')}} 1.0\n`
}

function models({ settings }: Core): unknown {
  const card = (id: string, root: string, parent: string | null, limit: number | null) => ({
    id,
    object: 'model',
    created: nowSeconds(),
    owned_by: 'vllm',
    root,
    parent,
    max_model_len: limit,
    permission: [
      {
        id: newId('modelperm'),
        object: 'model_permission',
        created: nowSeconds(),
        allow_create_engine: false,
        allow_sampling: true,
        allow_logprobs: true,
        allow_search_indices: false,
        allow_view: true,
        allow_fine_tuning: false,
        organization: '*',
        group: null,
        is_blocking: false,
      },
    ],
  })
  // docs/engine-behavior.md#adapter-cards
  const adapters = settings.adapters.map(({ name, path }) => card(name, path, settings.model, null))
  return { object: 'list', data: [card(settings.model, settings.root, null, settings.maxModelLen), ...adapters] }
}

function tokenize(core: Core, body: ReturnType<typeof objectBody>): unknown {
  if (body.prompt === undefined && body.messages === undefined) requireFields(body, ['prompt', 'messages'])
  adapterOf(body, core.settings)
  const tokens = body.messages === undefined ? encodeText(String(body.prompt)) : chatIds(core, body)
  const strings = booleanField(body, 'return_token_strs') ? tokens.map((id) => decodeIds([id])) : null
  return { count: tokens.length, max_model_len: core.settings.maxModelLen, tokens, token_strs: strings }
}

function detokenize(core: Core, body: ReturnType<typeof objectBody>): unknown {
  requireFields(body, ['tokens'])
  adapterOf(body, core.settings)
  const { tokens } = body
  if (!Array.isArray(tokens) || isObject(tokens)) {
    throw new ValidationError([
      { type: 'list_type', loc: 'body.tokens', msg: 'Input should be a valid list', input: "''" },
    ])
  }
  const ids = tokens.map(Number)
  const unknown = unknownId(ids)
  if (unknown !== undefined) throw new EngineError(400, `Token id ${unknown} is out of vocabulary`)
  return { prompt: decodeIds(ids) }
}
