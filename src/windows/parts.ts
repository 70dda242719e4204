// What the windows are built from. app.ts hands it in; nothing here is made by windows/ itself.

import type { Now } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { Prompt, WindowRecord } from '../base/records.ts'
import type { Store } from '../base/store.ts'
import type { LmcacheLink } from '../lmcache/link.ts'
import type { Engine } from '../upstream/engine.ts'
import type { EngineModels } from '../upstream/models.ts'

export interface WindowParts {
  readonly store: Store
  readonly engine: Engine
  readonly models: EngineModels
  readonly lmcache: LmcacheLink
  readonly log: Logger
  readonly metrics: Metrics
  readonly now: Now
  /** The salt under which a window's KV lies. Never logged, never stored. */
  readonly saltOf: (window: Pick<WindowRecord, 'tenant' | 'lineage' | 'model' | 'clientSalt'>) => string
  /** How long a freeze waits for its chunks to show in the directory, milliseconds. */
  readonly verifyDeadlineMs: number
  /** Bytes of thawed windows' messages kept ready for the turns that continue them. */
  readonly maxBaseBytes: number
}

/** The windows under the same salt share chunks, and so pins. */
export function sameSalt(a: WindowRecord, b: WindowRecord): boolean {
  return a.tenant === b.tenant && a.lineage === b.lineage && a.model === b.model && a.clientSalt === b.clientSalt
}

/** Prompt and where its last reply begins: what came before was the prompt of a turn whose size the engine has told. */
export interface PromptOfTurn {
  readonly prompt: Prompt
  /** Index of the reply's first message; the number of messages when there is no reply. */
  readonly replyAt: number
  /** The engine's `prompt_tokens` of that turn; undefined when it did not tell. */
  readonly promptTokens: number | undefined
}
