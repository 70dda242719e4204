// Reads the health of a running cwm. It answers with a body in every state, also with 503 while its engine is down.

import { isObject, type JsonObject, parseJson } from '../../base/json.ts'
import type { HealthJson } from '../../wire/health.ts'
import type { Rest } from './rest.ts'

/** Throws `UnreachableError` if nothing answers or what answers is not cwm, `RefusedError`, and the signal's reason. */
export async function readHealth(rest: Rest, signal: AbortSignal): Promise<HealthJson> {
  const response = await rest.send('/cwm/v1/health', { accept: 503, signal })
  const body = parseJson(await response.text())
  if (isObject(body) && isHealth(body)) return body as HealthJson
  throw rest.notCwmError(response.status)
}

function isHealth({ status, version, upstream }: JsonObject): boolean {
  return typeof status === 'string' && typeof version === 'string' && isObject(upstream)
}
