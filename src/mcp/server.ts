// The MCP server: its tools, its resources and its prompt. Thin names over REST; no rule of its own.

import { McpServer } from '@modelcontextprotocol/server'
import type { CallRest } from '../base/call-rest.ts'
import { cacheTools } from './cache-tools.ts'
import { addPrompts } from './prompts.ts'
import { addResources } from './resources.ts'
import { addTool, type ToolParts } from './tool.ts'
import { windowTools } from './window-tools.ts'

export interface ServerParts {
  readonly version: string
  readonly rest: CallRest
}

/** One connection's, or one request's. */
export function createServer({ version, rest }: ServerParts): McpServer {
  const server = new McpServer({ name: 'cwm', title: 'Context windows', version })
  const parts: ToolParts = { rest }
  for (const tool of [...windowTools, ...cacheTools]) addTool(server, tool, parts)
  addResources(server, parts)
  addPrompts(server, parts)
  return server
}
