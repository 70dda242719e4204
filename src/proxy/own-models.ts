// The list of models for a tenant with restricted models: the engine's list without the others, each with its context limit as in the
// unrestricted list.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { EngineModels } from '../engines/engine.ts'
import type { ClientResponse } from './client-response.ts'

/**
 * Sends the engine's models that are in `models`, and returns the status. Throws if the engine fails. If the engine rejects the request, its
 * answer is passed on.
 */
export async function sendOwnModels(
  client: ClientResponse,
  engine: Pick<EngineModels, 'page' | 'inputLimits'>,
  apiKey: string | undefined,
  models: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<number> {
  const { status, body } = await engine.page(apiKey, signal)
  const bytes = Buffer.from(JSON.stringify(ownModels(body, models, engine)))
  client.ownHead(status, ['content-type', 'application/json', 'content-length', String(bytes.length)])
  client.end(bytes)
  return status
}

function ownModels(
  body: JsonObject,
  models: ReadonlySet<string>,
  engine: Pick<EngineModels, 'inputLimits'>,
): JsonObject {
  if (!Array.isArray(body.data)) return body
  const cards = body.data as readonly JsonValue[]
  // Computed over all models, because an adapter has the limit of its base model, which may not be in the tenant's list.
  const limitOf = engine.inputLimits(cards)
  const own: JsonObject[] = []
  for (const card of cards) {
    if (!isObject(card) || typeof card.id !== 'string' || !models.has(card.id)) continue
    const limit = limitOf(card)
    own.push(limit === undefined ? card : { ...card, max_input_tokens: limit })
  }
  return { ...body, data: own }
}
