// First step of the start: the store, and the secret that belongs to it.

import { type OpenedStore, openStore } from './open-store.ts'
import type { Start } from './start.ts'

export type Storage = Omit<OpenedStore, 'close'>

/** Throws `CONFIG` with instructions for problems that an operator must fix. */
export async function openStorage({ live, log, closers }: Start): Promise<Storage> {
  const { close, ...storage } = await openStore(live.current, log)
  closers.add(close)
  return storage
}
