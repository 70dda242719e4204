// The list of models that no single engine gives: of several engines, or for a tenant with restricted models. Each model has its context
// limit as in an engine's own list.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { EngineModels } from '../engines/engine.ts'
import type { ClientResponse } from './client-response.ts'

/**
 * Sends the engine's models that are in `models`, or all if that is undefined, and returns the status. Throws if the engine fails. If the engine rejects the request, its
 * answer is passed on.
 */
export async function sendOwnModels(
  client: ClientResponse,
  engine: Pick<EngineModels, 'page' | 'inputLimits'>,
  apiKey: string | undefined,
  models: ReadonlySet<string> | undefined,
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
  models: ReadonlySet<string> | undefined,
  engine: Pick<EngineModels, 'inputLimits'>,
): JsonObject {
  if (!Array.isArray(body.data)) return body
  const cards = body.data as readonly JsonValue[]
  // Computed over all models, because an adapter has the limit of its base model, which may not be in the tenant's list.
  const limitOf = engine.inputLimits(cards)
  const own: JsonObject[] = []
  for (const card of cards) {
    if (!isObject(card) || typeof card.id !== 'string' || models?.has(card.id) === false) continue
    const limit = limitOf(card)
    own.push(limit === undefined ? card : { ...card, max_input_tokens: limit })
  }
  return { ...body, data: own }
}
