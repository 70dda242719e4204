// The subject of the KV contract's tests.

import type { KvBackend } from '../../../src/kv/kv.ts'

/** A backend, and an engine that computes for it. */
export interface KvUnderTest {
  readonly backend: KvBackend
  /** Another handle on the same KV layer, like that of a second process or a later start. */
  reopen(): KvBackend
  /** The engine's name in the backend's sequences. */
  readonly engineName: string
  /** Ids of one text: those of a greater count start with those of a smaller one. */
  idsOf(count: number): Promise<Uint32Array>
  /** As many ids of another text. */
  otherIds(count: number): Promise<Uint32Array>
  /** Lets the engine compute the ids under a salt, so that the backend receives their chunks. */
  compute(tokenIds: Uint32Array, salt: string): Promise<void>
  /** A new salt. */
  newSalt(): string
  /** Milliseconds until a computed sequence is visible everywhere. */
  readonly verifyDeadlineMs: number
}

export type KvSubject = () => KvUnderTest
