// Rules that hold between settings: what one of them demands of another.

import { keyHash } from '../base/auth.ts'
import { isLoopback } from '../base/loopback.ts'
import type { TenantSetting } from './tenants.ts'

/** The settings that such rules are about. Any of them may be missing, or wrong in itself. */
export interface CrossCheckedSettings {
  readonly host?: unknown
  readonly store?: unknown
  readonly secret?: unknown
  readonly any_key?: unknown
  readonly operator_key?: unknown
  readonly upstream_api_key?: unknown
  readonly tenants?: unknown
  readonly max_body_bytes?: unknown
  readonly max_body_bytes_in_all?: unknown
}

export interface Fault {
  readonly path: (string | number)[]
  readonly message: string
}

/** What is wrong with the settings as a whole, in words for whoever starts cwm. */
export function findConflicts(settings: CrossCheckedSettings): Fault[] {
  const { host, store, secret, any_key, operator_key, upstream_api_key, tenants } = settings
  const faults: Fault[] = []
  if (typeof host === 'string' && !isLoopback(host) && tenants === undefined && any_key !== true) {
    const message =
      'lets everybody in who reaches the port: list tenants in the settings file, or say any_key: true ' +
      '(CWM_ANY_KEY=true), and every key is let in and is a tenant of its own'
    faults.push({ path: ['host'], message })
  }
  if (any_key === true && tenants !== undefined) {
    faults.push({
      path: ['any_key'],
      message: 'is for a cwm without tenants: where they are listed, theirs are the keys',
    })
  }
  if (typeof store === 'string' && store.startsWith('redis') && secret === undefined) {
    const message = 'must be set (CWM_SECRET) with a Redis store: each cwm on that store needs the same one'
    faults.push({ path: ['secret'], message })
  }
  if (typeof operator_key === 'string' && keysOf(tenants).includes(keyHash(operator_key))) {
    faults.push({ path: ['operator_key'], message: "is a tenant's key too: the operator needs one of its own" })
  }
  if (operator_key !== undefined && operator_key === upstream_api_key) {
    const message = "is the engine's key too (upstream_api_key): whoever runs the engine would be the operator"
    faults.push({ path: ['operator_key'], message })
  }
  const { max_body_bytes: body, max_body_bytes_in_all: bodies } = settings
  if (typeof body === 'number' && typeof bodies === 'number' && bodies < body) {
    const message = `is less than max_body_bytes (${body}): the largest body would never be taken`
    faults.push({ path: ['max_body_bytes_in_all'], message })
  }
  return faults
}

function keysOf(tenants: unknown): string[] {
  if (!Array.isArray(tenants)) return []
  return (tenants as readonly Partial<TenantSetting>[]).flatMap(({ keys }) =>
    Array.isArray(keys) ? keys.map((key) => key.sha256) : [],
  )
}
