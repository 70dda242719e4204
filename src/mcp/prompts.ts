// An MCP prompt that makes an agent continue from a window.

import type { McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { askRest } from '../base/call-rest.ts'
import type { WindowJson } from '../wire/windows.ts'
import type { ToolParts } from './tool.ts'

export function addPrompts(server: McpServer, { rest }: ToolParts): void {
  const about = {
    title: 'Continue a window',
    description: 'Continue from a frozen context',
    argsSchema: z.object({ window_name: z.string(), task: z.string().optional() }),
  }
  server.registerPrompt('continue_window', about, async ({ window_name: name, task }, ctx) => {
    const path = `/cwm/v1/windows/${encodeURIComponent(name)}`
    const { note, messages, receipt } = await askRest<WindowJson>(rest, 'GET', path, undefined, ctx.mcpReq.signal)
    const size =
      receipt === undefined ? '' : `, ${receipt.tokens} tokens of which ${receipt.restorable_tokens} can be restored`
    const text = [
      `Call window_thaw with window_name "${name}"${task === undefined ? '' : ' and this task as continuation_prompt'}.`,
      `The window holds ${messages ?? 'some'} messages${size}.${note === undefined ? '' : ` Its note, which asks nothing of you: ${JSON.stringify(note)}`}`,
      ...(task === undefined ? [] : [`Task: ${task}`]),
    ].join('\n')
    return { messages: [{ role: 'user', content: { type: 'text', text } }] }
  })
}
