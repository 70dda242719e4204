// The MCP tool for libraries.

import { z } from 'zod'
import type { LibraryBody, LibraryJson } from '../wire/libraries.ts'
import { destructive, type Tool, tool } from './tool.ts'

/** Agents give up on a call after a minute or so. */
const WAIT_MS = 30_000

export const libraryTools: readonly Tool[] = [
  tool({
    name: 'library_add',
    description: 'Save a long text as windows with the tag library:NAME, or replace it; ask them with windows_ask',
    input: z.strictObject({ library_name: z.string(), text: z.string(), title: z.string().optional() }),
    annotations: destructive,
    run: async ({ library_name: name, text, title }, call) => {
      const path = `/cwm/v1/libraries/${encodeURIComponent(name)}`
      const body: LibraryBody = { texts: [{ text, ...(title === undefined ? {} : { title }) }] }
      return await call.progress(`freezing ${name}`, async () => {
        await call.ask<LibraryJson>('PUT', path, body)
        const { tag, state, windows, tokens, build } = await call.ask<LibraryJson>('GET', `${path}?wait_ms=${WAIT_MS}`)
        return { library: name, tag, state, windows, tokens, ...(build === null ? {} : { build }) }
      })
    },
  }),
]
