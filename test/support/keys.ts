// API keys by REST, as the operator.

import { keyHash } from '../../src/base/auth.ts'
import type { Settings } from '../../src/config/schema.ts'
import type { CreatedKeyJson, CreateKeyBody, KeyJson } from '../../src/wire/keys.ts'
import type { PageJson } from '../../src/wire/lists.ts'
import { ask } from './client.ts'
import { until } from './deadline.ts'
import { rest } from './rest.ts'

export const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

export const operatorKey = 'operator-key-0123456789'
export const asOperator = bearer(operatorKey)
/** The key of the settings file of the tenant `acme`. */
export const fileKey = 'sk-acme-0123456789'

/** Two tenants, each with a key in the file. */
export const tenantSettings: Partial<Settings> = {
  operator_key: operatorKey,
  tenants: [
    { id: 'acme', keys: [{ name: 'laptop', sha256: keyHash(fileKey) }] },
    { id: 'globex', keys: [{ name: 'main', sha256: keyHash('sk-globex-0123456789') }] },
  ],
}

export const createKey = (url: string, key: CreateKeyBody): Promise<CreatedKeyJson> =>
  rest<CreatedKeyJson>(url, 'POST', '/keys', key, asOperator)

export const revokeKey = (url: string, id: string | null): Promise<KeyJson> =>
  rest<KeyJson>(url, 'DELETE', `/keys/${id}`, undefined, asOperator)

export const listKeys = (url: string, query = ''): Promise<PageJson<KeyJson>> =>
  rest<PageJson<KeyJson>>(url, 'GET', `/keys${query}`, undefined, asOperator)

/**
 * The status that a key gets on a path of the engine, and on REST. Asks again after 503: on a busy machine, the store may not answer in time
 * whether it knows the key.
 */
export const statusesOf = (url: string, key: string): Promise<number[]> =>
  Promise.all(
    ['/v1/models', '/cwm/v1/tenants/me'].map((path) =>
      until('the store answers', async () => {
        const { status } = await ask(url, path, { headers: bearer(key) })
        return status === 503 ? undefined : status
      }),
    ),
  )
