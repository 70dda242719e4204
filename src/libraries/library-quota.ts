// Whether a tenant has room for all new windows of a library, before the first of them is frozen.

import { CwmError } from '../base/errors.ts'
import type { TenantUsage } from '../base/records.ts'
import type { TenantPolicy } from '../base/tenants.ts'

/** The windows to be frozen. */
export interface NewWindows {
  readonly windows: number
  /** As stored: prompts and token ids. */
  readonly bytes: number
  readonly tokens: number
}

/**
 * Throws `QUOTA_EXCEEDED` or `PIN_BUDGET_FULL` with the numbers. Windows that the library no longer uses still count: they go once the new
 * ones are frozen. `pins`: whether new windows are pinned.
 */
export function checkRoom(policy: TenantPolicy, usage: TenantUsage, needed: NewWindows, pins: boolean): void {
  const { maxWindows, maxWindowBytes, maxPinnedTokens, whenPinsFull } = policy
  if (maxWindows !== undefined && usage.windows + needed.windows > maxWindows) {
    throw exceeded(`${needed.windows} more windows`, `${usage.windows} of ${maxWindows}`, 'max_windows')
  }
  if (maxWindowBytes !== undefined && usage.windowBytes + needed.bytes > maxWindowBytes) {
    throw exceeded(`${needed.bytes} more bytes`, `${usage.windowBytes} of ${maxWindowBytes} bytes`, 'max_window_bytes')
  }
  if (!pins || maxPinnedTokens === undefined) return
  const pinned = whenPinsFull === 'reject' ? usage.pinnedTokens : 0
  if (pinned + needed.tokens <= maxPinnedTokens) return
  throw new CwmError(
    'PIN_BUDGET_FULL',
    `the library needs ${needed.tokens} more pinned tokens, and this tenant uses ${usage.pinnedTokens} of ${maxPinnedTokens} (setting max_pinned_tokens); delete or unpin some windows, or add less text`,
    { param: 'texts' },
  )
}

function exceeded(needs: string, uses: string, setting: string): CwmError {
  return new CwmError(
    'QUOTA_EXCEEDED',
    `the library needs ${needs}, and this tenant uses ${uses} (setting ${setting}); delete some windows, or add less text`,
    { param: 'texts' },
  )
}
