// What the KV contract's tests are run on.

import type { KvBackend } from '../../../src/kv/kv.ts'

/** A backend with an engine that computes for it. */
export interface KvUnderTest {
  readonly backend: KvBackend
  /** Another handle on the same KV layer, as a second process or a later start would have it. */
  reopen(): KvBackend
  /** As the backend's sequences name it. */
  readonly engineName: string
  /** Ids of one text: each call with a greater count begins as the ones before. */
  idsOf(count: number): Promise<Uint32Array>
  /** Other ids of that count. */
  otherIds(count: number): Promise<Uint32Array>
  /** Lets the engine compute the ids under a salt: what of them can be kept reaches the backend. */
  compute(tokenIds: Uint32Array, salt: string): Promise<void>
  /** A salt that nobody has used. */
  newSalt(): string
  /** Until a computed sequence is seen everywhere, milliseconds. */
  readonly verifyDeadlineMs: number
}

export type KvSubject = () => KvUnderTest
