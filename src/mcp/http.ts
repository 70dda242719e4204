// MCP over Streamable HTTP, stateless: each request gets its own server. Nothing is kept between an agent's calls, so any proxy can answer
// each of them, and restarts go unnoticed.

import { createMcpHandler } from '@modelcontextprotocol/server'
import type { CallRest } from '../base/call-rest.ts'
import { createServer } from './server.ts'

export interface Mcp {
  handle(request: Request, rest: CallRest): Promise<Response>
  /** Ends streams that are still open. */
  close(): void
}

/** Largest request, bytes; the same as for REST's small bodies. */
const MAX_REQUEST_BYTES = 64 * 1024
/** cwm sends no MCP notifications, so a subscription would be held open for nothing. */
const MAX_SUBSCRIPTIONS = 0

/** `rest` acts as the sender of the request, who was identified before. */
export function createMcp(version: string): Mcp {
  const handler = createMcpHandler(
    ({ authInfo }) => createServer({ version, rest: authInfo?.extra?.rest as CallRest }),
    {
      maxRequestBodySize: MAX_REQUEST_BYTES,
      maxSubscriptions: MAX_SUBSCRIPTIONS,
    },
  )
  return {
    handle: (request, rest) =>
      handler.fetch(request, { authInfo: { token: '', clientId: 'cwm', scopes: [], extra: { rest } } }),
    // Streams that it cannot end are closed with their connection.
    close: () => void handler.close().catch(() => {}),
  }
}
