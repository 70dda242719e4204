// No KV layer: KV exists only in the engine's own cache, and windows are text.

import type { KvBackend, KvHealth } from '../kv.ts'

export const noKv: KvBackend = {
  expects: { pin: false, quota: false },
  holds: 'before-warm',
  open: () => Promise.resolve(undefined),
  invalidate: () => {},
  health: (): Promise<KvHealth> => Promise.resolve({ ok: null, pins: false, warnings: [], servers: [] }),
}
