// The REST routes and handlers for libraries. The rules are in libraries/.

import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { LibraryManifest } from '../base/library-records.ts'
import type { LibraryDeletion } from '../libraries/delete-library.ts'
import type { Libraries, LibraryView } from '../libraries/libraries.ts'
import { libraryTag } from '../libraries/part-prompt.ts'
import {
  type LibraryDeletionJson,
  type LibraryJson,
  libraryBody,
  libraryDeletionSchema,
  libraryListQuery,
  librarySchema,
  showLibraryQuery,
} from '../wire/libraries.ts'
import { pageOf } from '../wire/lists.ts'
import type { Bindings, CallerOf } from './bindings.ts'
import * as routes from './routes.ts'
import { iso, pageToWire } from './to-wire.ts'

export interface LibraryHandlerParts {
  readonly libraries: Libraries
}

const libraryName = z.object({
  name: z.string().openapi({ param: { name: 'name', in: 'path' }, example: 'handbook' }),
})

const listLibraries = createRoute({
  method: 'get',
  path: '/cwm/v1/libraries',
  summary: 'List libraries by name',
  request: { query: libraryListQuery },
  responses: { 200: routes.json(pageOf(librarySchema), 'A page of libraries'), ...routes.failures },
})

const showLibrary = createRoute({
  method: 'get',
  path: '/cwm/v1/libraries/{name}',
  summary: 'Show a library, its windows, and the progress of its build',
  request: { params: libraryName, query: showLibraryQuery },
  responses: { 200: routes.json(librarySchema, 'The library'), ...routes.failures },
})

const putLibrary = createRoute({
  method: 'put',
  path: '/cwm/v1/libraries/{name}',
  summary: 'Create a library from texts, or replace its texts; windows are frozen in the background',
  request: { params: libraryName, body: routes.body(libraryBody) },
  responses: {
    200: routes.json(librarySchema, 'The library already is exactly this'),
    202: routes.json(librarySchema, 'It is being built: see `build`'),
    ...routes.failures,
  },
})

const deleteLibrary = createRoute({
  method: 'delete',
  path: '/cwm/v1/libraries/{name}',
  summary: 'Delete a library with all its windows; returns one receipt',
  request: { params: libraryName },
  responses: { 200: routes.json(libraryDeletionSchema, 'What was proved'), ...routes.failures },
})

export function mountLibraries(
  app: OpenAPIHono<Bindings>,
  { libraries }: LibraryHandlerParts,
  callerOf: CallerOf,
): void {
  app.openapi(listLibraries, async (c) => {
    const { limit, cursor } = c.req.valid('query')
    const page = await libraries.list(callerOf(c).tenant, cursor === undefined ? { limit } : { limit, cursor })
    return c.json(pageToWire(page.items.map(libraryToWire), page.nextCursor), 200)
  })

  app.openapi(showLibrary, async (c) => {
    const { name } = c.req.valid('param')
    const view = await libraries.show(callerOf(c).tenant, name, c.req.valid('query').wait_ms, c.req.raw.signal)
    return c.json({ ...libraryToWire(view), parts: partsToWire(view.record.manifest) }, 200)
  })

  app.openapi(putLibrary, async (c) => {
    const { tenant, policy, operation } = callerOf(c)
    const { model, texts, tokens_per_window: tokensPerWindow, tags = [] } = c.req.valid('json')
    const given = texts.map(({ title = '', text, format }) => ({ title, text, format }))
    const request = { tenant, policy, name: c.req.valid('param').name, model, texts: given, tokensPerWindow, tags }
    const view = await libraries.put(request, { ...operation, signal: c.req.raw.signal })
    const library = libraryToWire(view)
    return library.state === 'building' ? c.json(library, 202) : c.json(library, 200)
  })

  app.openapi(deleteLibrary, async (c) => {
    const { tenant, operation } = callerOf(c)
    return c.json(deletionToWire(await libraries.delete(tenant, c.req.valid('param').name, operation)), 200)
  })
}

function libraryToWire({ record, progress }: LibraryView): LibraryJson {
  const { name, manifest, build } = record
  const shown = manifest ?? build?.manifest
  const parts = distinctParts(manifest)
  const failure = build?.failure
  return {
    name,
    tag: libraryTag(name),
    state: build === undefined ? 'ready' : failure === undefined ? 'building' : 'failed',
    model: shown?.model ?? '',
    tokens_per_window: shown?.tokensPerWindow ?? 0,
    windows: parts.length,
    tokens: parts.reduce((sum, { tokens }) => sum + tokens, 0),
    texts: textsToWire(shown),
    build:
      build === undefined
        ? null
        : {
            done: progress?.done ?? 0,
            total: progress?.total ?? 0,
            started_at: iso(build.startedAt),
            failure: failure === undefined ? null : { ...failure, next: nextStep(name) },
          },
    created_at: iso(record.createdAt),
    changed_at: iso(record.changedAt),
  }
}

function nextStep(name: string): string {
  return `remove the cause and send the same texts again (frozen windows stay), or delete library ${name}`
}

/** A part that occurs twice is one window. */
function distinctParts(manifest: LibraryManifest | undefined) {
  return [...new Map(manifest?.parts.map((part) => [part.window, part])).values()]
}

function textsToWire(manifest: LibraryManifest | undefined): LibraryJson['texts'] {
  const texts = (manifest?.titles ?? []).map((title) => ({ title: title === '' ? null : title, windows: 0, tokens: 0 }))
  for (const { text, tokens } of manifest?.parts ?? []) {
    const found = texts[text]
    if (found === undefined) continue
    found.windows++
    found.tokens += tokens
  }
  return texts
}

function partsToWire(manifest: LibraryManifest | undefined): LibraryJson['parts'] {
  return (manifest?.parts ?? []).map(({ window, text, tokens }) => {
    const title = manifest?.titles[text] ?? ''
    return { window, title: title === '' ? null : title, tokens }
  })
}

function deletionToWire(deletion: LibraryDeletion): LibraryDeletionJson {
  const { name, windows, windowsLeft, deletedChunks, residualChunks, lineagesRetired, open, ms } = deletion
  return {
    name,
    windows,
    windows_left: windowsLeft,
    deleted_chunks: deletedChunks,
    residual_chunks: residualChunks,
    lineages_retired: lineagesRetired,
    open: [...open],
    engine: 'until_evicted',
    ms,
  }
}
