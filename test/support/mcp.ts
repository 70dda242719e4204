// The official client of the Model Context Protocol, connected to cwm over either transport.

import {
  type CallToolResult,
  Client,
  type ProgressCallback,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import type { BuiltCwm } from './built-cwm.ts'

export interface Agent {
  readonly client: Client
  /** Calls a tool and returns the structured result. Throws on an error. */
  use<T>(tool: string, args?: Record<string, unknown>, onprogress?: ProgressCallback): Promise<T>
  /** Calls a tool and returns its error message. Throws if it succeeds. */
  refused(tool: string, args?: Record<string, unknown>): Promise<string>
  close(): Promise<void>
}

/** Over Streamable HTTP. */
export function overHttp(url: string, headers: Record<string, string> = {}): Promise<Agent> {
  return connected(new StreamableHTTPClientTransport(new URL('/cwm/mcp', url), { requestInit: { headers } }))
}

/** Over the standard input and output of `cwm mcp`. */
export function overStdio({ main }: BuiltCwm, env: Record<string, string>): Promise<Agent> {
  const command = { command: process.execPath, args: [main, 'mcp'] }
  // The developer's own settings must not reach the process under test.
  return connected(new StdioClientTransport({ ...command, env: { PATH: process.env.PATH ?? '', ...env } }))
}

async function connected(transport: StreamableHTTPClientTransport | StdioClientTransport): Promise<Agent> {
  const client = new Client({ name: 'test', version: '1' })
  await client.connect(transport)
  const call = async (name: string, args = {}, onprogress?: ProgressCallback) => {
    const options = onprogress === undefined ? {} : { onprogress }
    return (await client.callTool({ name, arguments: args }, options)) as CallToolResult
  }
  return {
    client,
    use: async <T>(tool: string, args?: Record<string, unknown>, onprogress?: ProgressCallback) => {
      const result = await call(tool, args, onprogress)
      if (result.isError === true) throw new Error(wordsOf(result))
      return result.structuredContent as T
    },
    refused: async (tool, args) => {
      const result = await call(tool, args)
      if (result.isError !== true) throw new Error(`${tool} was not refused: ${wordsOf(result)}`)
      return wordsOf(result)
    },
    close: () => client.close(),
  }
}

function wordsOf({ content }: CallToolResult): string {
  return content.map((block) => (block.type === 'text' ? block.text : block.type)).join('\n')
}
