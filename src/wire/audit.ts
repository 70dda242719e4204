// An entry of the audit log.

import { z } from 'zod'
import { time } from './scalars.ts'

export const auditEntrySchema = z
  .object({
    id: z.string(),
    at: time,
    tenant: z.string(),
    actor: z
      .string()
      .describe("By which key it was asked: a key's name, `operator`, `key` where keys have no names, or `cwm` itself"),
    action: z.enum([
      'freeze',
      'thaw',
      'prefetch',
      'clone',
      'create',
      'import',
      'export',
      'update',
      'delete',
      'end',
      'erase',
    ]),
    target: z.enum(['window', 'session', 'tenant']),
    name: z.string(),
    outcome: z.string().describe('`ok`, `failed`, or the code of an error'),
    receipt: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
  })
  .meta({ id: 'AuditEntry' })

export type AuditEntryJson = z.infer<typeof auditEntrySchema>
