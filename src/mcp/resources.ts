// Windows as MCP resources: their metadata as JSON. Messages are left out: they may be megabytes, and a thaw puts them where they are needed.

import { type McpServer, ResourceTemplate } from '@modelcontextprotocol/server'
import { askRest } from '../base/call-rest.ts'
import type { PageJson } from '../wire/lists.ts'
import type { WindowJson } from '../wire/windows.ts'
import type { ToolParts } from './tool.ts'

const LISTED = 100
const uriOf = (name: string) => `cwm://windows/${encodeURIComponent(name)}`

export function addResources(server: McpServer, { rest }: ToolParts): void {
  const template = new ResourceTemplate('cwm://windows/{name}', {
    list: async (ctx) => {
      const { data } = await askRest<PageJson<WindowJson>>(
        rest,
        'GET',
        `/cwm/v1/windows?limit=${LISTED}`,
        undefined,
        ctx.mcpReq.signal,
      )
      const resources = data.map(({ name, note }) => ({
        uri: uriOf(name),
        name,
        mimeType: 'application/json',
        ...(note === undefined ? {} : { description: note }),
      }))
      return { resources }
    },
  })
  const about = { title: 'Windows', description: 'Frozen contexts, newest first', mimeType: 'application/json' }
  server.registerResource('windows', template, about, async (uri, { name }, ctx) => {
    const path = `/cwm/v1/windows/${encodeURIComponent(decodeURIComponent(String(name)))}`
    const window = await askRest<WindowJson>(rest, 'GET', path, undefined, ctx.mcpReq.signal)
    return { contents: [{ uri: uri.href, mimeType: 'application/json', text: JSON.stringify(window) }] }
  })
}
