// The MCP server: tools, resources, and a prompt. All of them call REST; there are no rules of their own.

import { McpServer } from '@modelcontextprotocol/server'
import type { CallRest } from '../base/call-rest.ts'
import { askTools } from './ask-tools.ts'
import { cacheTools } from './cache-tools.ts'
import { libraryTools } from './library-tools.ts'
import { addPrompts } from './prompts.ts'
import { addResources } from './resources.ts'
import { addTool, type ToolParts } from './tool.ts'
import { windowTools } from './window-tools.ts'

export interface ServerParts {
  readonly version: string
  readonly rest: CallRest
}

/** Creates a server for one connection (stdio) or one request (HTTP). */
export function createServer({ version, rest }: ServerParts): McpServer {
  const server = new McpServer({ name: 'cwm', title: 'Context windows', version })
  const parts: ToolParts = { rest }
  for (const tool of [...windowTools, ...askTools, ...libraryTools, ...cacheTools]) addTool(server, tool, parts)
  addResources(server, parts)
  addPrompts(server, parts)
  return server
}
