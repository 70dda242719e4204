// The dependencies of libraries/. compose/services.ts supplies them.

import type { BackgroundSlots } from '../admission/background.ts'
import type { Now } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import type { TenantPolicy } from '../base/tenants.ts'
import type { EngineFleet } from '../engines/fleet.ts'
import type { KvBackend } from '../kv/kv.ts'
import type { Store } from '../store/store.ts'
import type { Deletions } from '../windows/deletions.ts'
import type { OperationLogs } from '../windows/operation-audit.ts'
import type { Windows } from '../windows/windows.ts'
import type { PartCutter } from './part-cutter.ts'

export interface LibraryParts extends OperationLogs {
  readonly store: Store
  readonly fleet: EngineFleet
  readonly kv: Pick<KvBackend, 'expects'>
  readonly windows: Windows
  readonly deletions: Pick<Deletions, 'deleteWindow'>
  readonly freezeSlots: Pick<BackgroundSlots, 'run'>
  readonly cutter: Pick<PartCutter, 'cut'>
  readonly policyOf: (tenant: string) => TenantPolicy
  readonly log: Logger
  readonly now: Now
  /** Key of the digests in window names. */
  readonly nameKey: Uint8Array
  /** The upstream's own key, for builds that continue after the client that started them has left. */
  readonly apiKey: () => string | undefined
  /** Delay before a failed window is frozen again, milliseconds; it triples with each further attempt. */
  readonly retryMs: number
  /** How long to wait for a window that is already being frozen, milliseconds. */
  readonly settleMs: number
}
