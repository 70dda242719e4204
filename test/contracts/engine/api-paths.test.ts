// Holds the table of paths (src/engines/api-paths.ts) against the OpenAPI documents of a real vLLM. A new version fails here, and says what is
// new: decide the kind of each new path before it is forwarded.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type ApiPath, apiPath, apiPaths } from '../../../src/engines/api-paths.ts'
import { steeringFields } from '../../../src/turn/guard.ts'

interface RecordedPath {
  readonly methods: readonly string[]
  readonly body?: string
  /** Fields that matter to a gateway. A trailing `?`: only some of the accepted bodies have it. */
  readonly fields?: readonly string[]
  readonly not_in_openapi?: string
}

interface RecordedApi {
  readonly vllm: string
  readonly servers: Readonly<Record<string, Readonly<Record<string, RecordedPath>>>>
}

const file = new URL('../../recorded/vllm-openapi.json', import.meta.url)
const api = JSON.parse(readFileSync(file, 'utf8')) as RecordedApi

/** Each path of each server. */
const recorded = Object.entries(api.servers).flatMap(([server, paths]) =>
  Object.entries(paths).map(([path, entry]) => ({ server, path, ...entry })),
)

/** Paths that no recorded server has, and what would bring them. */
const unrecorded: Readonly<Record<string, string>> = {
  '/start_profile': 'a profiler in the settings',
  '/stop_profile': 'a profiler in the settings',
  '/cohere/v2/chat': 'VLLM_ENABLE_COHERE_API and the SDK of Cohere',
  '/cohere/v2/chat/render': 'VLLM_ENABLE_COHERE_API and the SDK of Cohere',
}

/** Fields that the guard knows, or that every body has. */
const known = new Set([...steeringFields, 'cache_salt', 'model', 'session_id', 'previous_response_id'])

function unknownIn(entry: ApiPath, fields: readonly string[]): readonly string[] {
  const own = [...(entry.parts ?? []), ...Object.keys(entry.refused ?? {}).map((name) => name.split('.')[0] ?? '')]
  return fields.map((field) => field.replace('?', '')).filter((field) => !known.has(field) && !own.includes(field))
}

describe(`the table of paths, against vLLM ${api.vllm}`, () => {
  it('has every path of every server', () => {
    const unknown = recorded.filter(({ path }) => apiPath(path) === undefined)

    expect(unknown.map(({ server, path, methods }) => `new in vLLM: ${methods} ${path} (${server} server)`)).toEqual([])
  })

  it('has their methods', () => {
    const differing = recorded.filter(({ path, methods }) => {
      const listed = apiPath(path)?.methods ?? []
      return methods.some((method) => !listed.includes(method === 'HEAD' ? 'GET' : method))
    })

    expect(differing.map(({ path, methods }) => `new methods in vLLM: ${methods} ${path}`)).toEqual([])
  })

  it('has no path that vLLM no longer has', () => {
    const paths = new Set(recorded.map(({ path }) => path))
    const gone = apiPaths.filter(({ path }) => !paths.has(path) && !Object.hasOwn(unrecorded, path))

    expect(gone.map(({ path }) => path)).toEqual([])
  })

  it('salts exactly what takes a salt in each of its bodies', () => {
    const salts = (kind: ApiPath['kind']) => kind === 'session' || kind === 'salted'
    // Rendering takes one only to repeat it in its answer.
    const wrong = recorded.filter(({ path, fields }) => {
      const kind = apiPath(path)?.kind
      if (fields === undefined || kind === undefined || kind === 'guarded') return false
      return salts(kind) !== fields.includes('cache_salt')
    })

    expect(wrong.map(({ path, fields }) => `${path} ${fields}`)).toEqual([])
  })

  it('knows each field with a name that may reach below the gateway', () => {
    const unknown = recorded.flatMap(({ path, fields = [] }) => {
      const entry = apiPath(path)
      const isOpen =
        entry !== undefined && entry.kind !== 'operator' && entry.kind !== 'plain' && entry.kind !== 'never'
      return isOpen ? unknownIn(entry, fields).map((field) => `new field in vLLM: ${field} of ${path}`) : []
    })

    expect(unknown).toEqual([])
  })

  it('lists each path once', () => {
    expect(new Set(apiPaths.map(({ path }) => path)).size).toBe(apiPaths.length)
  })
})
