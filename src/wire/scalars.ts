// Scalar types shared by several schemas.

import { z } from 'zod'

export const time = z.iso.datetime()
export const count = z.number().int().nonnegative()
/** Durations by step, milliseconds. */
export const stepMs = z.record(z.string(), z.number())
