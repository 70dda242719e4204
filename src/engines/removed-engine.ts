// Stands in for an engine that was removed from the fleet, for work that only this engine could do. All such work fails with the reason.

import { CwmError } from '../base/errors.ts'
import type { AnswerSink, Engine, EngineHealth, EngineModels, OutgoingRequest } from './engine.ts'

export class RemovedEngine implements Engine {
  readonly id: string
  readonly origin: string
  readonly kvServer = undefined
  readonly models: EngineModels
  readonly health: EngineHealth

  /** `id` is the engine's id: a URL without credentials. */
  constructor(id: string, models: EngineModels) {
    const error = 'engine_removed'
    this.id = id
    this.origin = new URL(id).origin
    this.models = models
    this.health = {
      breaker: 'open',
      lastSeen: { ok: false, error },
      inFlight: 0,
      check: async () => ({ ok: false, error }),
      probe: async () => ({ ok: false, error }),
    }
  }

  send(_: OutgoingRequest, sink: AnswerSink): () => void {
    sink.onError(removed())
    return () => {}
  }

  tokenIds = (): Promise<never> => Promise.reject(removed())
  countTokens = (): Promise<never> => Promise.reject(removed())
  countText = (): Promise<never> => Promise.reject(removed())
  cacheTokens = async (): Promise<undefined> => undefined
  warm = (): Promise<never> => Promise.reject(removed())
  end = (): number => 0
  close = async (): Promise<void> => {}
}

/** Only work that refers to a stored response names an engine. */
function removed(): CwmError {
  return new CwmError(
    'RESPONSE_NOT_FOUND',
    'the engine that stored this response was removed; send the earlier items in `input` instead of `previous_response_id`',
    { param: 'response_id' },
  )
}
