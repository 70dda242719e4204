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
      .describe(
        'The key that requested the operation: its name, `operator`, `key` if keys have no names, `sighup` for the signal, or `cwm` for cwm itself',
      ),
    action: z.enum([
      'freeze',
      'thaw',
      'ask',
      'prefetch',
      'clone',
      'create',
      'import',
      'export',
      'read',
      'update',
      'delete',
      'end',
      'erase',
      'reload',
      'drain',
      'resume',
      'revoke',
    ]),
    target: z.enum(['window', 'windows', 'library', 'session', 'tenant', 'settings', 'engine', 'key']),
    name: z.string(),
    outcome: z.string().describe('`ok`, `failed`, or an error code'),
    count: z
      .number()
      .optional()
      .describe('How often the same attempt failed within ten minutes, if more than once; `at` is the first time'),
    last_at: time.optional().describe('When it failed last'),
    receipt: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
  })
  .meta({ id: 'AuditEntry' })

export type AuditEntryJson = z.infer<typeof auditEntrySchema>
