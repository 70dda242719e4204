// What vLLM serves for a pooling model: embeddings, pooling, classification, scores, and rerankings. Numbers are derived from the token ids, so
// equal inputs have equal answers. The simulator serves these beside the generating routes; a real engine serves one kind of model.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { chatIds } from './chat-request.ts'
import { EngineError } from './errors.ts'
import { newId } from './ids.ts'
import { adapterOf, objectBody, requireFields, saltOf } from './request-body.ts'
import { type Answer, type Handler, nowSeconds, type Routes } from './routes.ts'
import { encodeText } from './tokenizer.ts'
import type { Core } from './turn.ts'

const DIMENSIONS = 8

export function poolingRoutes(core: Core): Routes {
  const score = scoreRoute(core)
  const rerank = rerankRoute(core)
  return {
    'POST /v1/embeddings': listRoute(core, 'embd', (ids, index, body) => ({
      index,
      object: 'embedding',
      embedding: body.encoding_format === 'base64' ? base64Of(vectorOf(ids)) : vectorOf(ids),
    })),
    'POST /pooling': listRoute(core, 'pool', (ids, index) => ({ index, object: 'pooling', data: vectorOf(ids) })),
    'POST /classify': listRoute(core, 'classify', (ids, index) => {
      const [first = 0] = vectorOf(ids)
      const yes = (first + 1) / 2
      return { index, label: yes > 0.5 ? 'LABEL_1' : 'LABEL_0', probs: [1 - yes, yes], num_classes: 2 }
    }),
    'POST /score': score,
    'POST /v1/score': score,
    'POST /rerank': rerank,
    'POST /v1/rerank': rerank,
    'POST /v2/rerank': rerank,
  }
}

function listRoute(
  core: Core,
  prefix: string,
  entry: (ids: readonly number[], index: number, body: JsonObject) => object,
): Handler {
  return async (request): Promise<Answer> => {
    const body = objectBody(request)
    const prompts = promptsOf(core, body)
    await prefillAll(core, body, prompts, request.signal)
    const json = {
      id: newId(prefix),
      object: 'list',
      created: nowSeconds(),
      model: String(body.model ?? core.settings.model),
      data: prompts.map((ids, index) => entry(ids, index, body)),
      usage: usageOf(prompts),
    }
    return { status: 200, json }
  }
}

function scoreRoute(core: Core): Handler {
  return async (request): Promise<Answer> => {
    const body = objectBody(request)
    const left = textsOf(body.queries ?? body.data_1 ?? body.text_1)
    const right = textsOf(body.documents ?? body.items ?? body.data_2 ?? body.text_2)
    const pairs = right.map((text, at) => [left.length === 1 ? (left[0] ?? '') : (left[at] ?? ''), text] as const)
    const { data, prompts } = await scorePairs(core, body, pairs, request.signal)
    return {
      status: 200,
      json: {
        id: newId('score'),
        object: 'list',
        created: nowSeconds(),
        model: String(body.model ?? core.settings.model),
        data: data.map((value, index) => ({ index, object: 'score', score: value })),
        usage: usageOf(prompts),
      },
    }
  }
}

function rerankRoute(core: Core): Handler {
  return async (request): Promise<Answer> => {
    const body = objectBody(request)
    requireFields(body, ['query', 'documents'])
    const documents = textsOf(body.documents)
    const [query = ''] = textsOf(body.query)
    const pairs = documents.map((text) => [query, text] as const)
    const { data, prompts } = await scorePairs(core, body, pairs, request.signal)
    const { prompt_tokens, total_tokens } = usageOf(prompts)
    const results = documents
      .map((text, index) => ({ index, document: { text, multi_modal: null }, relevance_score: data[index] ?? 0 }))
      .sort((a, b) => b.relevance_score - a.relevance_score)
    const top = typeof body.top_n === 'number' && body.top_n > 0 ? body.top_n : results.length
    const model = String(body.model ?? core.settings.model)
    return {
      status: 200,
      json: {
        id: newId('score'),
        model,
        usage: { prompt_tokens, total_tokens },
        results: results.slice(0, top),
      },
    }
  }
}

/** As a bi-encoder: each text is embedded, and a pair's score is the cosine of its two vectors. */
async function scorePairs(
  core: Core,
  body: JsonObject,
  pairs: readonly (readonly [string, string])[],
  signal: AbortSignal,
): Promise<{ readonly data: readonly number[]; readonly prompts: readonly (readonly number[])[] }> {
  const encoded = pairs.map(([left, right]) => [encodeText(left), encodeText(right)] as const)
  const prompts = encoded.flat()
  await prefillAll(core, body, prompts, signal)
  const data = encoded.map(([left, right]) => cosine(vectorOf(left), vectorOf(right)))
  return { data, prompts }
}

async function prefillAll(core: Core, body: JsonObject, prompts: readonly (readonly number[])[], signal: AbortSignal) {
  const space = { salt: saltOf(body), adapter: adapterOf(body, core.settings) }
  core.engine.running++
  try {
    for (const ids of prompts) await core.engine.prefill(ids, space, signal)
  } finally {
    core.engine.running--
  }
}

function promptsOf(core: Core, body: JsonObject): readonly (readonly number[])[] {
  if (Array.isArray(body.messages)) return [chatIds(core, body)]
  requireFields(body, ['input'])
  const { input } = body
  const list: readonly JsonValue[] = Array.isArray(input) && typeof input[0] !== 'number' ? input : [input ?? '']
  if (list.length === 0) throw new EngineError(400, 'You must pass at least one prompt')
  return list.map((one) => (Array.isArray(one) ? one.map(Number) : encodeText(String(one))))
}

function textsOf(value: JsonValue | undefined): readonly string[] {
  const list: readonly JsonValue[] = Array.isArray(value) ? value : [value ?? '']
  return list.map((one) => {
    if (!isObject(one)) return String(one)
    const parts: readonly JsonValue[] = Array.isArray(one.content) ? one.content : []
    return parts.map((part) => (isObject(part) ? String(part.text ?? '') : '')).join('\n')
  })
}

function usageOf(prompts: readonly (readonly number[])[]) {
  const tokens = prompts.reduce((sum, { length }) => sum + length, 0)
  const details = { prompt_tokens_details: null, completion_tokens_details: null }
  return { prompt_tokens: tokens, total_tokens: tokens, completion_tokens: 0, ...details }
}

/** A unit vector. */
function vectorOf(ids: readonly number[]): number[] {
  const sums = Array.from({ length: DIMENSIONS }, (_, n) => ids.reduce((sum, id) => sum + ((id * (n + 3)) % 17) - 8, 1))
  const length = Math.hypot(...sums)
  return sums.map((value) => value / length)
}

function cosine(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, n) => sum + value * (b[n] ?? 0), 0)
}

/** Little-endian 32-bit floats: what OpenAI's SDK asks for. */
function base64Of(vector: readonly number[]): string {
  return Buffer.from(Float32Array.from(vector).buffer).toString('base64')
}
