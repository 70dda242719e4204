// What REST answers, as types. Written down once, in api/wire.ts.

import type { z } from 'zod'
import type * as wire from '../../api/wire.ts'

export type WindowAnswer = z.infer<typeof wire.windowSchema>
export type SessionAnswer = z.infer<typeof wire.sessionSchema>
export type FreezeReceiptAnswer = z.infer<typeof wire.freezeReceiptSchema>
export type ThawAnswer = z.infer<typeof wire.thawReceiptSchema>
export type DeletionAnswer = z.infer<typeof wire.deletionSchema>

/** A thaw to LMCache's memory only. */
export interface PrefetchAnswer {
  readonly window: string
  readonly to: 'l1'
  readonly found_chunks: number | null
  readonly total_chunks: number
  readonly ms: number
}

export interface ImportAnswer {
  readonly window: WindowAnswer
  readonly drift: boolean | null
}

export interface Page<T> {
  readonly data: readonly T[]
  readonly next_cursor?: string
}
