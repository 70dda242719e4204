// The list of models for a tenant that may not use all: the upstream's, without the others. Each with its
// context limit, as in the list that others get.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { EngineModels } from '../engines/engine.ts'
import type { ClientResponse } from './client-response.ts'

/**
 * Answers those of the upstream's models that are in `models`; tells the status. Throws what the upstream's failing throws; a refusal of the
 * upstream's is passed on.
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
  // Of all, since an adapter has the limit of its base model, which this tenant may not use.
  const limitOf = engine.inputLimits(cards)
  const own: JsonObject[] = []
  for (const card of cards) {
    if (!isObject(card) || typeof card.id !== 'string' || !models.has(card.id)) continue
    const limit = limitOf(card)
    own.push(limit === undefined ? card : { ...card, max_input_tokens: limit })
  }
  return { ...body, data: own }
}
