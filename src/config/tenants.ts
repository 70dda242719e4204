// The tenants in the settings file: their ids, keys, rights, and limits.

import { z } from 'zod'
import { keyNamePattern, keyNameRule } from '../base/auth.ts'
import { overflowPolicies } from '../base/tenants.ts'
import { count, countOrNone, flag, gigabytes, ms, names, oneOf, share } from './fields.ts'

/** Rights and limits of tenants. Each is a setting for all tenants, and may be overridden for one. */
export const bounds = {
  isolation: oneOf(['session', 'user', 'tenant']),
  allowed_fields: names,
  max_in_flight_per_tenant: count,
  requests_per_minute: count,
  tokens_per_minute: count,
  max_sessions: count,
  max_windows: countOrNone,
  max_window_bytes: countOrNone,
  max_pinned_tokens: countOrNone,
  when_pins_full: oneOf(['reject', 'release']),
  pin_ttl_ms: ms,
  kv_quota_gb: gigabytes,
  overflow: oneOf(overflowPolicies),
  freeze_at: share,
  rollover_to: share,
  keep_first: countOrNone,
  rollover_note: flag,
  max_auto_windows_per_session: count,
  max_auto_windows: count,
}

const HASH_RULE = 'must be the SHA-256 of a key in hex; cwm key generates a key and prints its hash'
const EXPIRY_RULE = 'must be a time such as 2027-01-31T00:00:00Z'
const KEY_RULE = 'must be {name, sha256}, never the key itself; cwm key generates a key and prints its hash'

const keySchema = z.strictObject(
  {
    name: z.string().regex(keyNamePattern, `must be ${keyNameRule}`),
    sha256: z
      .string(HASH_RULE)
      .regex(/^[0-9a-fA-F]{64}$/, HASH_RULE)
      .transform((text) => text.toLowerCase()),
    expires: z.iso.datetime({ offset: true, error: EXPIRY_RULE }).optional(),
    requests_per_minute: count.optional(),
    tokens_per_minute: count.optional(),
  },
  KEY_RULE,
)

const tenantSchema = z
  .strictObject({
    id: z
      .string()
      .regex(
        /^[a-z0-9][a-z0-9._-]{0,63}$/,
        'must start with a lowercase letter or digit, followed by lowercase letters, digits, and ._-',
      )
      .refine(
        (id) => !id.startsWith('k-') && id !== 'anonymous',
        'is reserved for ids that cwm assigns; choose another',
      ),
    keys: z.array(keySchema, KEY_RULE).min(1, 'must contain at least one key; cwm key generates one'),
    models: z
      .array(z.string().min(1))
      .min(1, 'must list at least one served name; leave it out to allow all')
      .optional(),
  })
  .extend(z.object(bounds).partial().shape)

export type TenantSetting = z.infer<typeof tenantSchema>

/** Ids are unique, and so are keys across all tenants: two tenants with the same key would see each other's windows. */
export const tenants = z
  .array(tenantSchema, 'must be a list of tenants in the settings file')
  .min(1, 'must list at least one tenant, or be left out')
  .superRefine((list, context) => {
    const fault = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message })
    const ids = new Set<string>()
    const hashes = new Set<string>()
    for (const [i, { id, keys }] of list.entries()) {
      if (ids.has(id)) fault([i, 'id'], 'is a duplicate')
      ids.add(id)
      const keyNames = new Set<string>()
      for (const [j, { name, sha256 }] of keys.entries()) {
        if (keyNames.has(name))
          fault([i, 'keys', j, 'name'], 'is a duplicate: the audit log could not tell the keys apart')
        if (hashes.has(sha256)) fault([i, 'keys', j, 'sha256'], 'is a duplicate: a key can belong to one tenant only')
        keyNames.add(name)
        hashes.add(sha256)
      }
    }
  })
