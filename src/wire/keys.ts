// API keys of listed tenants, for the operator. A key's secret is in the answer that creates it, and nowhere else.

import { z } from 'zod'
import { keyNamePattern, keyNameRule } from '../base/auth.ts'
import { pageQuery } from './lists.ts'
import { count, time } from './scalars.ts'

const TEN_YEARS_S = 315_360_000

export const keySchema = z
  .object({
    id: z
      .string()
      .nullable()
      .describe('For `DELETE /cwm/v1/keys/ID`. Null for a key of the settings file: remove it there, then reload'),
    tenant: z.string(),
    name: z.string().describe('The actor in the audit log, and the key in the usage. Unique within the tenant'),
    source: z.enum(['file', 'rest']).describe('Where it was made: in the settings file, or by REST'),
    created_at: time.nullable().describe('Null for a key of the settings file'),
    expires_at: time.nullable().describe('From then on it is rejected. Null: it does not expire'),
    expired: z.boolean(),
    requests_per_minute: count
      .nullable()
      .describe('What this key alone may use. Null: only the limits of its tenant apply'),
    tokens_per_minute: count.nullable().describe('Likewise, in computed tokens'),
    last_used_at: time
      .nullable()
      .describe(
        'Accurate to about a minute. Null for a key that was never used, and for those of the settings file: `GET /cwm/v1/usage?by=key` has theirs',
      ),
  })
  .meta({ id: 'Key' })

export const createdKeySchema = keySchema
  .extend({ secret: z.string().describe('The API key. It is not shown again: cwm stores only its hash') })
  .meta({ id: 'CreatedKey' })

export const createKeyBody = z
  .strictObject({
    tenant: z.string().min(1).max(64).describe('A tenant that the settings list'),
    name: z.string().regex(keyNamePattern, `must be ${keyNameRule}`).describe('Unique within the tenant'),
    expires_at: z.iso.datetime({ offset: true }).optional().describe('When it expires, such as 2027-01-31T00:00:00Z'),
    expires_in_s: z
      .number()
      .int()
      .min(1)
      .max(TEN_YEARS_S)
      .optional()
      .describe('Seconds from now, instead of `expires_at`. Without either, it does not expire'),
    requests_per_minute: z
      .number()
      .int()
      .min(1)
      .optional()
      .describe('What this key alone may use. It counts toward its tenant too'),
    tokens_per_minute: z.number().int().min(1).optional().describe('Likewise, in computed tokens'),
  })
  .refine(({ expires_at, expires_in_s }) => expires_at === undefined || expires_in_s === undefined, {
    path: ['expires_in_s'],
    message: 'send expires_at or expires_in_s, not both',
  })

export const keyListQuery = pageQuery.extend({
  tenant: z.string().optional().describe("Only this tenant's keys"),
})

export type KeyJson = z.infer<typeof keySchema>
export type CreatedKeyJson = z.infer<typeof createdKeySchema>
export type CreateKeyBody = z.input<typeof createKeyBody>
