// Work that one process at a time may do where several share a store: what another proxy has under way is not abandoned, and a pin
// that two would give back at once would be somebody else's. A process that dies is free of its work half a minute later.

import type { Store } from '../store/store.ts'

const LEASE_MS = 30_000
const RENEW_MS = 10_000

type WorkStore = Pick<Store, 'takeWork' | 'dropWork'>

/** Taken until it is released. */
export interface Lease {
  release(): void
}

export const leaseKeys = {
  window: (id: string) => `window ${id}`,
  deletion: (id: string) => `deletion ${id}`,
  name: (tenant: string, name: string) => `name ${JSON.stringify([tenant, name])}`,
  cut: (tenant: string, sessionId: string, digest: string) => `cut ${JSON.stringify([tenant, sessionId, digest])}`,
}

/** Takes the work, and keeps it until it is released; undefined while another process has it. Throws what the store throws. */
export async function acquireLease(store: WorkStore, work: string): Promise<Lease | undefined> {
  if (!(await store.takeWork(work, LEASE_MS))) return undefined
  // A store that is away takes no renewal and hands the work to nobody else either.
  const renewal = setInterval(() => void store.takeWork(work, LEASE_MS).catch(() => {}), RENEW_MS)
  renewal.unref()
  return {
    release: () => {
      clearInterval(renewal)
      store.dropWork(work).catch(() => {})
    },
  }
}

/** Does the task while this process has the work; undefined, and nothing is done, while another has it. */
export async function withLease<T>(store: WorkStore, work: string, task: () => Promise<T>): Promise<T | undefined> {
  const held = await acquireLease(store, work)
  if (held === undefined) return undefined
  try {
    return await task()
  } finally {
    held.release()
  }
}
