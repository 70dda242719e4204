// Leases on work that only one process may do at a time when several share a store. They keep one proxy from abandoning another's work,
// and two from releasing the same pin, where the second release would take another window's. A dead process's lease expires after 30 s.

import type { Store } from '../store/store.ts'

const LEASE_MS = 30_000
const RENEW_MS = 10_000

type LeaseStore = Pick<Store, 'acquireLease' | 'releaseLease'>

/** Held until it is released. */
export interface Lease {
  release(): void
}

export const leaseKeys = {
  window: (id: string) => `window ${id}`,
  deletion: (id: string) => `deletion ${id}`,
  name: (tenant: string, name: string) => `name ${JSON.stringify([tenant, name])}`,
  library: (tenant: string, name: string) => `library ${JSON.stringify([tenant, name])}`,
  awake: (engine: string) => `awake ${engine}`,
  cut: (tenant: string, sessionId: string, digest: string) => `cut ${JSON.stringify([tenant, sessionId, digest])}`,
}

/** Acquires the lease and renews it until it is released. Returns undefined while another process holds it. Throws what the store throws. */
export async function acquireLease(store: LeaseStore, name: string): Promise<Lease | undefined> {
  if (!(await store.acquireLease(name, LEASE_MS))) return undefined
  // While the store is unreachable the renewal fails, but the store cannot give the lease to anyone else either.
  const renewal = setInterval(() => void store.acquireLease(name, LEASE_MS).catch(() => {}), RENEW_MS)
  renewal.unref()
  return {
    release: () => {
      clearInterval(renewal)
      store.releaseLease(name).catch(() => {})
    },
  }
}

/** Runs the task under the lease. Returns undefined, without running it, while another process holds the lease. */
export async function withLease<T>(store: LeaseStore, name: string, task: () => Promise<T>): Promise<T | undefined> {
  const held = await acquireLease(store, name)
  if (held === undefined) return undefined
  try {
    return await task()
  } finally {
    held.release()
  }
}
