// The tenants of a run with `--tenants`: their keys for the load client, and the settings of each cwm that list them.

import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** For metrics and `/v1/models`, which need a key once tenants are listed. */
export const OPERATOR_KEY = 'operator-of-the-benchmark-6d0f4d1b7f7e'

/** The made-up API key of tenant number `n`. */
export const keyOfTenant = (n) => `sk-of-bench-tenant-${n}-5b8c7e21d94f`

/** The keys with which one of `connections` sends its requests in turn, so that all of them together use all tenants. */
export function keysOf(index, connections, tenants) {
  const count = Math.ceil((tenants - index) / connections)
  // With fewer tenants than connections, some share one.
  if (count < 1) return [keyOfTenant(index % tenants)]
  return Array.from({ length: count }, (_, n) => keyOfTenant(index + n * connections))
}

/** Writes a settings file that lists the tenants, and returns the arguments of `cwm serve` and its environment. */
export function listTenants(folder, count) {
  const file = join(folder, 'tenants.json')
  const hashOf = (key) => createHash('sha256').update(key).digest('hex')
  const tenants = Array.from({ length: count }, (_, n) => ({
    id: `tenant-${n}`,
    keys: [{ name: 'bench', sha256: hashOf(keyOfTenant(n)) }],
  }))
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ tenants }))
  return { args: ['--config', file], env: { CWM_OPERATOR_KEY: OPERATOR_KEY } }
}
