// GET /openapi.json: the simulator's own paths, with the one body field that matters to a gateway.

import type { Routes } from './routes.ts'

/** Paths whose body takes `cache_salt`. */
const salted =
  /^\/(v1\/(chat\/completions(\/batch)?|completions|responses|messages|embeddings|score|rerank)|v2\/rerank|pooling|classify|score|rerank)$/

export function openApiOf(routes: Routes): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const route of Object.keys(routes)) {
    const [method = '', pattern = ''] = route.split(' ')
    const path = pattern.replaceAll(/:(\w+)/g, '{$1}')
    const schema = { type: 'object', properties: salted.test(path) ? { cache_salt: { type: 'string' } } : {} }
    const body = method === 'POST' ? { requestBody: { content: { 'application/json': { schema } } } } : {}
    paths[path] = { ...paths[path], [method.toLowerCase()]: body }
  }
  return { openapi: '3.1.0', info: { title: 'FastAPI', version: '0.1.0' }, paths }
}
