// MCP over standard input and output, for agents that start MCP servers as processes. The tools call a running cwm.

import { serveStdio } from '@modelcontextprotocol/server/stdio'
import type { CallRest } from '../base/call-rest.ts'
import { createServer } from './server.ts'

/** Serves until the agent closes standard input. */
export function serveOnStdio(version: string, rest: CallRest): void {
  serveStdio(() => createServer({ version, rest }))
}
