// Defines MCP tools and runs them: parses arguments, reports progress, and returns errors that an agent can act on.

import type { CallToolResult, McpServer, ServerContext, ToolAnnotations } from '@modelcontextprotocol/server'
import type { z } from 'zod'
import { askRest, type CallRest, RestError } from '../base/call-rest.ts'
import type { JsonObject } from '../base/json.ts'
import type { ToolName } from '../base/tool-names.ts'

export interface ToolParts {
  readonly rest: CallRest
}

/** One call of a tool. */
export interface ToolCall {
  /** The arguments as sent: no input schema has defaults or transforms. They are used to find the session. */
  readonly arguments: JsonObject
  readonly signal: AbortSignal
  /** Calls REST and returns the JSON of a success. Throws `RestError` with REST's message. */
  ask<T>(method: Parameters<CallRest>[0], path: string, body?: object): Promise<T>
  /** Runs slow work, and reports progress every second if the agent asked for it. */
  progress<T>(what: string, work: () => Promise<T>): Promise<T>
}

export interface Tool<Input extends z.ZodObject = z.ZodObject> {
  readonly name: ToolName
  readonly description: string
  readonly input: Input
  readonly annotations: ToolAnnotations
  run(args: z.infer<Input>, call: ToolCall): Promise<object>
}

/** Exists for type inference only. */
export const tool = <Input extends z.ZodObject>(given: Tool<Input>): Tool => given as unknown as Tool

/** An error of the tool itself, with a message for the agent. */
export class ToolError extends Error {
  override readonly name = 'ToolError'
}

export const readOnly: ToolAnnotations = { readOnlyHint: true }
export const additive: ToolAnnotations = { readOnlyHint: false, destructiveHint: false }
export const destructive: ToolAnnotations = { readOnlyHint: false, destructiveHint: true, idempotentHint: true }

const PROGRESS_MS = 1_000

export function addTool(
  server: McpServer,
  { name, description, input, annotations, run }: Tool,
  { rest }: ToolParts,
): void {
  server.registerTool(
    name,
    { description, inputSchema: input, annotations },
    async (args, ctx): Promise<CallToolResult> => {
      const call: ToolCall = {
        arguments: args as JsonObject,
        signal: ctx.mcpReq.signal,
        ask: (method, path, body) => askRest(rest, method, path, body, ctx.mcpReq.signal),
        progress: (what, work) => withProgress(ctx, what, work),
      }
      try {
        const result = await run(args, call)
        return { content: [{ type: 'text', text: JSON.stringify(result) }], structuredContent: { ...result } }
      } catch (thrown) {
        if (!(thrown instanceof ToolError || thrown instanceof RestError)) throw thrown
        return { content: [{ type: 'text', text: thrown.message }], isError: true }
      }
    },
  )
}

async function withProgress<T>(ctx: ServerContext, what: string, work: () => Promise<T>): Promise<T> {
  const token = ctx.mcpReq._meta?.progressToken
  if (token === undefined) return await work()
  let progress = 0
  const report = () => {
    const params = { progressToken: token, progress, message: `${what}, ${progress} s` }
    progress++
    // Fails if the agent has left, which the signal of the work reports.
    ctx.mcpReq.notify({ method: 'notifications/progress', params }).catch(() => {})
  }
  report()
  const timer = setInterval(report, PROGRESS_MS)
  try {
    return await work()
  } finally {
    clearInterval(timer)
  }
}
