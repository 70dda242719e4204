// The OpenAPI document of the REST API, generated from its routes.

import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Bindings } from './bindings.ts'

/** The document as JSON text. Each call walks all routes and schemas, which takes many milliseconds: cache the result. */
export function openApiText(app: OpenAPIHono<Bindings>, version: string): string {
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Context Window Manager',
      version,
      description: 'Sessions and context windows on vLLM and LMCache. A key sees what is its own and nothing else.',
    },
    security: [{ bearer: [] }],
  })
  return JSON.stringify(document)
}
