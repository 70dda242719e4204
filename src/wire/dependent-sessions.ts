// The sessions based on a window: before it is deleted, and in the receipt of its delete.

import { z } from 'zod'
import { count } from './scalars.ts'

export const dependentSessions = z.object({
  count,
  sessions: z.array(z.string()).describe('Their ids, up to 20'),
})

export type DependentSessionsJson = z.infer<typeof dependentSessions>
