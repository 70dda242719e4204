// The dependencies of windows/. compose/core.ts supplies them; windows/ creates none itself.

import type { BackgroundSlots } from '../admission/background.ts'
import type { Now } from '../base/clock.ts'
import type { EventSink } from '../base/events.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { KvSpace, Prompt, SessionRecord, WindowRecord } from '../base/records.ts'
import { sameSpace } from '../base/spaces.ts'
import type { TenantPolicy } from '../base/tenants.ts'
import type { UsageSink } from '../base/usage-sink.ts'
import type { EngineFleet } from '../engines/fleet.ts'
import type { KvBackend } from '../kv/kv.ts'
import type { SaltQuotas } from '../kv/quotas.ts'
import type { RetainedTurns } from '../sessions/retained.ts'
import type { SessionTracker } from '../sessions/tracker.ts'
import type { Store } from '../store/store.ts'
import type { KvCosts } from './kv-costs.ts'
import type { AuditLog } from './operation-audit.ts'
import type { WindowsInUse } from './windows-in-use.ts'

export interface WindowParts {
  readonly store: Store
  readonly fleet: EngineFleet
  readonly kv: KvBackend
  readonly log: Logger
  readonly metrics: Metrics
  readonly audit: AuditLog
  readonly events: EventSink
  /** Warm calls and questions are reported here. */
  readonly ledger: UsageSink
  readonly now: Now
  /** The salt that KV is stored under. Never logged, never stored. */
  readonly saltOf: (space: SaltSpace) => string
  readonly quotas: Pick<SaltQuotas, 'ensure' | 'remove'>
  readonly costs: KvCosts
  /** The current KV epoch. A window frozen under another epoch moves to it when thawed. */
  readonly kvEpoch: number
  readonly policyOf: (tenant: string) => TenantPolicy
  /** How long a freeze waits for its chunks to reach storage that outlives memory, milliseconds. */
  readonly verifyDeadlineMs: number
  /** Bytes of base windows' messages cached for the turns that continue them. */
  readonly maxBaseBytes: number
  /** Their pins stay where they are. */
  readonly inUse: WindowsInUse
  /** For repairs. Who starts a freeze that nobody waits for claims its slot. */
  readonly freezeSlots: Pick<BackgroundSlots, 'run'>
}

/** Is notified when an affinity key may have no session left, and forwards that to a router in front of the engines. */
export interface ReleasedKeys {
  sessionEnded(session: SessionRecord): void
  /** The lineage has no session left. */
  lineageIdle(tenant: string, lineage: string): void
}

/** What deletions need in addition. */
export interface DeletionParts extends WindowParts {
  readonly sessions: Pick<SessionTracker, 'ended' | 'retired' | 'isBusy'>
  readonly retained: Pick<RetainedTurns, 'find' | 'drop'>
  /** The upstream's own key: background deletions have no client. */
  readonly apiKey: () => string | undefined
  /** Delay before the first retry of a deletion, milliseconds. */
  readonly retryMs: number
  readonly deleteSlots: Pick<BackgroundSlots, 'run'>
  /** Absent: no router needs the notice. */
  readonly releasedKeys?: ReleasedKeys | undefined
  /** Called when a window is gone from the store, for what else holds its text. */
  readonly onWindowRemoved?: (tenant: string, name: string) => void
}

/** Everything that a salt is derived from. */
export interface SaltSpace extends KvSpace {
  readonly tenant: string
  readonly lineage: string
}

/** Windows under the same salt share chunks, and therefore pins. */
export function sameSalt(a: SaltSpace, b: SaltSpace): boolean {
  return a.tenant === b.tenant && a.lineage === b.lineage && sameSpace(a, b)
}

/** The space fields of a window or other holder, without its other fields. */
export function spaceOf({ model, clientSalt, kvEpoch }: KvSpace): KvSpace {
  return clientSalt === undefined ? { model, kvEpoch } : { model, clientSalt, kvEpoch }
}

/** A prompt and where its last reply starts. What precedes the reply was the prompt of a turn whose size the engine reported. */
export interface TurnPrompt {
  readonly prompt: Prompt
  /** Index of the reply's first message; the number of messages if there is no reply. */
  readonly replyAt: number
  /** The engine's `prompt_tokens` of that turn; undefined if it reported none. */
  readonly promptTokens: number | undefined
  /** Index from which messages are stored as text only; absent if none are. */
  readonly textFrom?: number | undefined
}

/** The prompt of a window that is already recorded. */
export function turnPromptOf({ replyAt, promptTokens, textFrom }: WindowRecord, prompt: Prompt): TurnPrompt {
  return { prompt, replyAt, promptTokens, textFrom }
}
