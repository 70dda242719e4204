// The OpenAPI document of the REST API, generated from its routes.

import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Bindings } from './bindings.ts'

/** The document as JSON text. Each call visits all routes and schemas, which takes many milliseconds, so callers should cache it. */
export function openApiText(app: OpenAPIHono<Bindings>, version: string): string {
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Context Window Manager',
      version,
      description: 'Sessions and context windows on vLLM and LMCache. A key sees only its own data.',
    },
    security: [{ bearer: [] }],
  })
  return JSON.stringify(document)
}
