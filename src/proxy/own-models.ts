// The list of models for a tenant that may not use all: the upstream's, without the others. The one answer on a plain path that is
// not passed on as it is.

import { isObject, type JsonObject } from '../base/json.ts'
import type { UpstreamAnswer } from '../upstream/json.ts'
import type { ClientResponse } from './client-response.ts'

/** Asks the upstream for its models. */
export type ListModels = (apiKey: string | undefined, signal: AbortSignal) => Promise<UpstreamAnswer>

/**
 * Answers those of the upstream's models that are in `models`; tells the status. Throws what the upstream's failing throws; a refusal of the
 * upstream's is passed on.
 */
export async function sendOwnModels(
  client: ClientResponse,
  listModels: ListModels,
  apiKey: string | undefined,
  models: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<number> {
  const { status, body } = await listModels(apiKey, signal)
  const bytes = Buffer.from(JSON.stringify(ownModels(body, models)))
  client.ownHead(status, ['content-type', 'application/json', 'content-length', String(bytes.length)])
  client.end(bytes)
  return status
}

function ownModels(body: JsonObject, models: ReadonlySet<string>): JsonObject {
  if (!Array.isArray(body.data)) return body
  const mayUse = (entry: unknown) => isObject(entry) && typeof entry.id === 'string' && models.has(entry.id)
  return { ...body, data: body.data.filter(mayUse) }
}
