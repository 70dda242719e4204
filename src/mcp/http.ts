// MCP over Streamable HTTP, stateless: each request gets a server of its own, so that nothing is kept of an agent between its calls, any
// proxy answers any of them, and a restart goes unnoticed.

import { createMcpHandler } from '@modelcontextprotocol/server'
import type { CallRest } from '../base/call-rest.ts'
import { createServer } from './server.ts'

export interface Mcp {
  handle(request: Request, rest: CallRest): Promise<Response>
  /** Ends streams that would stay open. */
  close(): void
}

/** Bytes of one request, as REST's own small bodies. */
const MAX_REQUEST_BYTES = 64 * 1024
/** Nothing here changes that a stream would tell of: whoever opens one would hold it for nothing. */
const MAX_SUBSCRIPTIONS = 0

/** `rest` acts for whoever sent the request: who that is was settled before. */
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
    // What it could not end is broken with its connection.
    close: () => void handler.close().catch(() => {}),
  }
}
