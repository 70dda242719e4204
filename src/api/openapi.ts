// The OpenAPI document of REST, made from its routes.

import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Bindings } from './bindings.ts'

/** The document as JSON text. Reads every route and shape anew, which takes many milliseconds: keep what it answers. */
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
