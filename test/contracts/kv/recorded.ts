// Recorded answers of a real LMCache 0.5.6, by name, for tests. They are complete; the token ids of requests are reduced to their count.

import { readFileSync } from 'node:fs'
import { HttpResponse } from 'msw'
import { isObject, type JsonObject, type JsonValue } from '../../../src/base/json.ts'

interface Exchange {
  readonly name: string
  readonly response: { readonly status: number; readonly body: JsonObject }
}

const file = JSON.parse(readFileSync(new URL('./control-plane.json', import.meta.url), 'utf8')) as {
  readonly answers: readonly Exchange[]
}

/** The recorded body with this name. */
export function recordedBody(name: string): JsonObject {
  return find(name).response.body
}

/** The recorded answer with this name as an msw response; `change` replaces top-level keys. */
export function replay(name: string, change: JsonObject = {}): Response {
  const { status, body } = find(name).response
  return HttpResponse.json({ ...body, ...change } as Record<string, JsonValue>, { status })
}

function find(name: string): Exchange {
  const exchange = file.answers.find((answer) => answer.name === name)
  if (exchange === undefined || !isObject(exchange.response.body)) throw new Error(`no recording with the name ${name}`)
  return exchange
}
