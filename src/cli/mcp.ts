// `cwm mcp`: serves the tools of a running cwm over standard input and output. It contacts cwm only when a tool is called, so cwm may restart.

import type { Command } from 'commander'
import type { CallRest } from '../base/call-rest.ts'
import { parseJson } from '../base/json.ts'
import { version } from '../base/version.ts'
import { formatError } from './client/command.ts'
import {
  type ConnectionOptions,
  connect,
  RefusedError,
  type Rest,
  UnreachableError,
  UsageError,
} from './client/rest.ts'

/** Adds the command `mcp`. Standard output belongs to the protocol; everything else goes to standard error. */
export function addMcp(program: Command): void {
  program
    .command('mcp')
    .description('Serve the tools of a running cwm to an agent, over standard input and output (MCP)')
    .option('--url <url>', 'where cwm runs (env: CWM_URL; default: http://127.0.0.1:8787)')
    .option('--api-key-file <file>', 'file that contains the API key (default: the variable CWM_API_KEY)')
    .option('--tenant <id>', "tenant to act for, with the operator's key")
    .action(async (options: ConnectionOptions) => {
      try {
        const rest = await connect(options, process.env)
        const { serveOnStdio } = await import('../mcp/stdio.ts')
        serveOnStdio(version, callsOf(rest))
      } catch (thrown) {
        if (!(thrown instanceof UsageError)) throw thrown
        console.error(formatError(thrown))
        process.exitCode = 2
      }
    })
}

function callsOf(rest: Rest): CallRest {
  return async (method, path, body, signal) => {
    try {
      const response = await rest.send(path, { method, signal, ...(body === undefined ? {} : { body }) })
      return { status: response.status, body: parseJson(await response.text()) }
    } catch (thrown) {
      if (thrown instanceof RefusedError) return { status: thrown.status, body: parseJson(thrown.body) }
      if (thrown instanceof UnreachableError) throw new Error(formatError(thrown), { cause: thrown })
      throw thrown
    }
  }
}
