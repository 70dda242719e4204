// The table of vLLM's HTTP API: every path of version 0.32, and what cwm does with it. Routes, docs/paths.md and `cwm doctor` read it, and
// test/contracts/engine/api-paths.test.ts holds it against the recorded OpenAPI documents. How to extend it: CONTRIBUTING.md.

import type { Dialect } from '../base/records.ts'
import { dialects } from '../dialects/index.ts'

/**
 * `session`: a turn of a conversation; gets the salt of its session. `salted`: a standalone request; gets its own salt. `guarded`:
 * computes no KV; its JSON body is checked like a turn's. `plain`: passes as it is. `stored`: a response that the engine stores, for its
 * owner only. `unsalted`: computes KV without a salt, so it is rejected unless the setting `unsalted_paths` lists it. `operator`: with the
 * operator's key only. `never`: cannot be forwarded.
 */
export type PathKind = 'session' | 'salted' | 'guarded' | 'plain' | 'stored' | 'unsalted' | 'operator' | 'never'

/** One path of the engine's API. */
export interface ApiPath {
  /** With `{response_id}` for a part that varies. */
  readonly path: string
  readonly methods: readonly string[]
  readonly kind: PathKind
  /** Of `session`. */
  readonly dialect?: Dialect
  /** The body is a form with files. Absent: JSON, or none. */
  readonly multipart?: true
  readonly webSocket?: true
  /** Body fields that may contain content parts, at any depth. */
  readonly parts?: readonly string[]
  /** Body fields that are rejected, as `field` or `object.field`, with the reason. */
  readonly refused?: Readonly<Record<string, string>>
  /** Why it is not simply forwarded. */
  readonly why?: string
}

const POST = ['POST']
const GET = ['GET']

/** Fields with texts or content parts that are scored. */
const scored = ['query', 'queries', 'documents', 'items', 'data_1', 'data_2', 'text_1', 'text_2']

const sessions: readonly ApiPath[] = dialects.map(({ path, dialect }) => ({
  path,
  methods: POST,
  kind: 'session',
  dialect,
}))

const salted: readonly ApiPath[] = [
  { path: '/v1/embeddings', methods: POST, kind: 'salted', parts: ['input', 'messages'] },
  { path: '/pooling', methods: POST, kind: 'salted', parts: ['input', 'messages', 'data'] },
  { path: '/classify', methods: POST, kind: 'salted', parts: ['input', 'messages'] },
  ...['/score', '/v1/score', '/rerank', '/v1/rerank', '/v2/rerank'].map(
    (path): ApiPath => ({ path, methods: POST, kind: 'salted', parts: scored }),
  ),
  // One salt for all conversations of the body: `to_chat_completion_request` copies it to each.
  { path: '/v1/chat/completions/batch', methods: POST, kind: 'salted', parts: ['messages'] },
  { path: '/v1/systemone', methods: POST, kind: 'salted' },
  { path: '/generative_scoring', methods: POST, kind: 'salted' },
  {
    path: '/inference/v1/generate',
    methods: POST,
    kind: 'salted',
    parts: ['content_parts'],
    refused: {
      features: "the engine's encoder cache is keyed by a hash that the client chooses, and no salt covers it",
      'sampling_params.extra_args': 'it steers the engine and its KV transfer',
    },
  },
]

/** The engine finds a stored response by its id alone. Whose it is, only a turn checks (turn/stored-responses.ts). */
const STORED_ELSEWHERE = {
  previous_response_id: 'cwm checks who owns a stored response on `/v1/responses` only, so send its items in `input`',
}

const guarded: readonly ApiPath[] = [
  '/v1/chat/completions/render',
  '/v1/completions/render',
  '/v1/messages/render',
  '/v1/responses/render',
  '/v1/chat/completions/derender',
  '/v1/completions/derender',
].map((path) => ({
  path,
  methods: POST,
  kind: 'guarded',
  parts: ['messages', 'input', 'prompt'],
  ...(path === '/v1/responses/render' ? { refused: STORED_ELSEWHERE } : {}),
  why: 'The engine computes no KV here, and its answer repeats `cache_salt`, so cwm sends none.',
}))

const plain: readonly ApiPath[] = [
  { path: '/v1/models', methods: GET, kind: 'plain' },
  ...dialects.flatMap(({ plainPaths }) =>
    Object.entries(plainPaths).map(([path, methods]): ApiPath => ({ path, methods, kind: 'plain' })),
  ),
  { path: '/tokenize', methods: POST, kind: 'plain' },
  { path: '/detokenize', methods: POST, kind: 'plain' },
  { path: '/health', methods: GET, kind: 'plain' },
  { path: '/ping', methods: ['GET', 'POST'], kind: 'plain' },
  { path: '/version', methods: GET, kind: 'plain' },
  { path: '/load', methods: GET, kind: 'plain' },
]

const stored: readonly ApiPath[] = [
  { path: '/v1/responses/{response_id}', methods: GET, kind: 'stored' },
  { path: '/v1/responses/{response_id}/cancel', methods: POST, kind: 'stored' },
]

const AUDIO =
  'Speech models that are decoders (Voxtral, Qwen audio) use the prefix cache, and the path takes no `cache_salt`. Whisper does not use it.'
const COHERE = 'The engine drops `cache_salt` silently on this path.'

const unsalted: readonly ApiPath[] = [
  { path: '/v1/audio/transcriptions', methods: POST, kind: 'unsalted', multipart: true, why: AUDIO },
  { path: '/v1/audio/translations', methods: POST, kind: 'unsalted', multipart: true, why: AUDIO },
  { path: '/v2/embed', methods: POST, kind: 'unsalted', parts: ['inputs'], why: `${COHERE} Use /v1/embeddings.` },
  {
    path: '/cohere/v2/chat',
    methods: POST,
    kind: 'unsalted',
    parts: ['messages'],
    why: `${COHERE} Use /v1/chat/completions.`,
  },
  { path: '/cohere/v2/chat/render', methods: POST, kind: 'unsalted', parts: ['messages'], why: COHERE },
  {
    path: '/invocations',
    methods: POST,
    kind: 'unsalted',
    parts: ['messages', 'input', ...scored],
    why: 'The header `X-Amzn-SageMaker-Adapter-Identifier` replaces the model after cwm has derived the salt from it. Use the path of the API itself.',
  },
  {
    path: '/v1/realtime',
    methods: [],
    kind: 'unsalted',
    webSocket: true,
    why: 'It takes no `cache_salt`, and cwm does not forward WebSockets.',
  },
]

const never: readonly ApiPath[] = [
  {
    path: '/metrics',
    methods: GET,
    kind: 'never',
    why: "It shows what all tenants do. cwm's own are at /cwm/metrics.",
  },
  {
    path: '/adapters/{adapter_name}',
    methods: ['DELETE'],
    kind: 'never',
    why: "SageMaker's form of /v1/unload_lora_adapter; use that.",
  },
]

const operator: readonly ApiPath[] = [
  // Other requests.
  ...['/abort_requests', '/inference/v1/abort_requests', '/pause', '/resume'].map(forOperator('POST')),
  ...['/is_paused', '/kv_event_sources'].map(forOperator('GET')),
  // The process.
  ...['/start_profile', '/stop_profile', '/sleep', '/wake_up', '/release_kv_cache_memory'].map(forOperator('POST')),
  ...['/collective_rpc', '/scale_elastic_ep', '/is_scaling_elastic_ep', '/fault_tolerance/apply'].map(
    forOperator('POST'),
  ),
  ...['/is_sleeping', '/server_info', '/tokenizer_info', '/get_world_size', '/fault_tolerance/status'].map(
    forOperator('GET'),
  ),
  // Caches.
  ...['/reset_prefix_cache', '/reset_mm_cache', '/reset_encoder_cache'].map(forOperator('POST')),
  // Weights.
  ...['/v1/load_lora_adapter', '/v1/unload_lora_adapter', '/adapters'].map(forOperator('POST')),
  ...['/init_weight_transfer_engine', '/shutdown_weight_transfer_engine'].map(forOperator('POST')),
  ...['/start_weight_update', '/start_draft_weight_update', '/update_weights', '/finish_weight_update'].map(
    forOperator('POST'),
  ),
  ...['/update_weight_version', '/weight_checker'].map(forOperator('POST')),
  ...['/weight_info', '/openapi.json', '/docs', '/docs/oauth2-redirect', '/redoc'].map(forOperator('GET')),
]

function forOperator(...methods: readonly string[]): (path: string) => ApiPath {
  return (path) => ({ path, methods, kind: 'operator' })
}

/** Every path of the engine's API. */
export const apiPaths: readonly ApiPath[] = [
  ...sessions,
  ...stored,
  ...salted,
  ...guarded,
  ...plain,
  ...unsalted,
  ...never,
  ...operator,
]

/** What the setting `unsalted_paths` may list. */
export const unsaltedPaths: readonly string[] = unsalted.flatMap(({ path, webSocket }) =>
  webSocket === true ? [] : [path],
)

const byPath: ReadonlyMap<string, ApiPath> = new Map(apiPaths.map((entry) => [templateOf(entry.path), entry]))

/** The entry of a path as the table or an OpenAPI document spells it. The names of its varying parts do not matter. */
export function apiPath(path: string): ApiPath | undefined {
  return byPath.get(templateOf(path))
}

function templateOf(path: string): string {
  return path.replaceAll(/\{[^}]*\}/g, '{}')
}
