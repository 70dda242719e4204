// Checks of the engine's API against cwm's table of paths: what the engine has beyond it, and that salted paths really take a salt.

import { isObject, type JsonObject, type JsonValue, parseJson } from '../base/json.ts'
import { apiPath } from '../engines/api-paths.ts'
import type { Check } from './check.ts'
import { failed, ok, skipped, warning } from './finding.ts'

/** Paths named in a finding; further ones are only counted. */
const MAX_NAMED = 20
/** Deeper references do not occur, and a document may be circular. */
const MAX_DEPTH = 10

export const apiChecks: readonly Check[] = [
  {
    id: 'paths',
    scope: 'each',
    title: "cwm knows the engine's API",
    proves: 'every path of the engine is in the table of cwm, and every path that gets a salt accepts one',
    run: async (facts) => {
      const answer = await facts.ask('GET', '/openapi.json')
      const document = answer.status === 200 ? parseJson(answer.text) : undefined
      const paths = isObject(document) ? document.paths : undefined
      if (!isObject(document) || !isObject(paths)) {
        return skipped(
          `the engine does not serve /openapi.json (${answer.status}); vLLM: without --disable-fastapi-docs`,
        )
      }
      return judge(document, paths)
    },
  },
]

function judge(document: JsonObject, paths: JsonObject) {
  const all = Object.keys(paths)
  const saltless = all.filter((path) => isSalted(path) && !takesSalt(document, paths[path]))
  if (saltless.length > 0) {
    return failed(
      `no cache_salt in the body of ${named(saltless)}: nothing isolates tenants there`,
      'use vLLM 0.32 or later, or keep these paths from clients with a proxy in front',
    )
  }
  const unknown = all.filter((path) => apiPath(path) === undefined)
  if (unknown.length > 0) {
    const shown = unknown.map((path) => `${methodsOf(paths[path])} ${path}`)
    return warning(
      `${unknown.length} of ${all.length} paths are unknown to cwm, which does not forward them: ${named(shown)}`,
      'nothing to do if clients do not need them; the setting routes adds paths that compute no KV',
    )
  }
  return ok(`all ${all.length} paths are known; ${all.filter(isSalted).length} of them get a salt, and take it`)
}

function isSalted(path: string): boolean {
  const kind = apiPath(path)?.kind
  return kind === 'session' || kind === 'salted'
}

function named(list: readonly string[]): string {
  const rest = list.length - MAX_NAMED
  return list.slice(0, MAX_NAMED).join(', ') + (rest > 0 ? `, and ${rest} more` : '')
}

function methodsOf(operations: JsonValue | undefined): string {
  return isObject(operations) ? Object.keys(operations).join(',').toUpperCase() : ''
}

/** Whether every body that the path accepts has the field. A path without a described body says nothing, and counts as taking it. */
function takesSalt(document: JsonObject, operations: JsonValue | undefined): boolean {
  const schema = memberAt(operations, ['post', 'requestBody', 'content', 'application/json', 'schema'])
  if (!isObject(schema)) return true
  return variantsOf(document, schema, 0).every((variant) => {
    const { properties } = variant
    return isObject(properties) && Object.hasOwn(properties, 'cache_salt')
  })
}

/** The object schemas that a body may match. */
function variantsOf(document: JsonObject, schema: JsonObject, depth: number): readonly JsonObject[] {
  if (depth > MAX_DEPTH) return [schema]
  const { $ref } = schema
  if (typeof $ref === 'string') {
    const target = memberAt(document, $ref.replace(/^#\//, '').split('/'))
    return isObject(target) ? variantsOf(document, target, depth + 1) : [schema]
  }
  for (const key of ['anyOf', 'oneOf']) {
    const branches = schema[key]
    if (!Array.isArray(branches)) continue
    return (branches as readonly JsonValue[]).flatMap((branch) =>
      isObject(branch) ? variantsOf(document, branch, depth + 1) : [],
    )
  }
  return [schema]
}

function memberAt(value: JsonValue | undefined, names: readonly string[]): JsonValue | undefined {
  return names.reduce<JsonValue | undefined>((inner, name) => (isObject(inner) ? inner[name] : undefined), value)
}
