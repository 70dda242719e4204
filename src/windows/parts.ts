// What the windows are built from. compose/app.ts hands it in; nothing here is made by windows/ itself.

import type { Now } from '../base/clock.ts'
import type { EventSink } from '../base/events.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { KvSpace, Prompt, WindowRecord } from '../base/records.ts'
import { sameSpace } from '../base/spaces.ts'
import type { TenantPolicy } from '../base/tenants.ts'
import type { Engine } from '../engines/engine.ts'
import type { EngineModels } from '../engines/models.ts'
import type { KvBackend } from '../kv/kv.ts'
import type { SaltQuotas } from '../kv/quotas.ts'
import type { RetainedTurns } from '../sessions/retained.ts'
import type { SessionTracker } from '../sessions/tracker.ts'
import type { Store } from '../store/store.ts'
import type { AuditLog } from './operation-audit.ts'

export interface WindowParts {
  readonly store: Store
  readonly engine: Engine
  readonly models: EngineModels
  readonly kv: KvBackend
  readonly log: Logger
  readonly metrics: Metrics
  readonly audit: AuditLog
  readonly events: EventSink
  readonly now: Now
  /** The salt under which KV lies. Never logged, never stored. */
  readonly saltOf: (space: SaltSpace) => string
  readonly quotas: Pick<SaltQuotas, 'ensure' | 'remove'>
  /** The epoch under which KV is made today; a window that was frozen under another moves to it when it is thawed. */
  readonly kvEpoch: number
  readonly policyOf: (tenant: string) => TenantPolicy
  /** How long a freeze waits for its chunks to be seen where they outlive memory, milliseconds. */
  readonly verifyDeadlineMs: number
  /** Bytes of thawed windows' messages kept ready for the turns that continue them. */
  readonly maxBaseBytes: number
}

/** What deletes need beside. */
export interface DeletionParts extends WindowParts {
  readonly sessions: Pick<SessionTracker, 'ended' | 'retired' | 'isBusy'>
  readonly retained: Pick<RetainedTurns, 'find' | 'drop'>
  /** The upstream's own: what is deleted in the background has no client. */
  readonly apiKey: string | undefined
  /** Until what a delete has left is tried for the first time again, milliseconds. */
  readonly retryMs: number
}

/** All that a salt is derived from. */
export interface SaltSpace extends KvSpace {
  readonly tenant: string
  readonly lineage: string
}

/** Windows under the same salt share chunks, and so pins. */
export function sameSalt(a: SaltSpace, b: SaltSpace): boolean {
  return a.tenant === b.tenant && a.lineage === b.lineage && sameSpace(a, b)
}

/** The space of a window or of anything else that has one, and nothing more. */
export function spaceOf({ model, clientSalt, kvEpoch }: KvSpace): KvSpace {
  return clientSalt === undefined ? { model, kvEpoch } : { model, clientSalt, kvEpoch }
}

/** Prompt and where its last reply begins: what came before was the prompt of a turn whose size the engine has told. */
export interface TurnPrompt {
  readonly prompt: Prompt
  /** Index of the reply's first message; the number of messages when there is no reply. */
  readonly replyAt: number
  /** The engine's `prompt_tokens` of that turn; undefined when it did not tell. */
  readonly promptTokens: number | undefined
  /** Index from which the messages are kept as text only; absent: none are. */
  readonly textFrom?: number | undefined
}

/** The prompt of a window that is recorded already. */
export function turnPromptOf({ replyAt, promptTokens, textFrom }: WindowRecord, prompt: Prompt): TurnPrompt {
  return { prompt, replyAt, promptTokens, textFrom }
}
