// Rules about combinations of settings.

import { keyHash } from '../base/auth.ts'
import { isObject } from '../base/json.ts'
import { isLoopback } from '../base/loopback.ts'
import type { TenantSetting } from './tenants.ts'

/** The settings that these rules check. Any of them may be missing or invalid. */
export interface CrossCheckedSettings {
  readonly host?: unknown
  readonly store?: unknown
  readonly secret?: unknown
  readonly any_key?: unknown
  readonly operator_key?: unknown
  readonly upstream_api_key?: unknown
  readonly upstream?: unknown
  readonly tenants?: unknown
  readonly max_body_bytes?: unknown
  readonly max_body_bytes_in_all?: unknown
}

export interface SettingsConflict {
  readonly path: (string | number)[]
  readonly message: string
}

/** Checks the settings as a whole. The messages are for the person who starts cwm. */
export function findConflicts(settings: CrossCheckedSettings): SettingsConflict[] {
  const { host, store, secret, any_key, operator_key, upstream_api_key, tenants } = settings
  const faults: SettingsConflict[] = []
  if (typeof host === 'string' && !isLoopback(host) && tenants === undefined && any_key !== true) {
    const message =
      'would let in everyone who can reach the port: list tenants in the settings file, or set any_key: true ' +
      '(CWM_ANY_KEY=true) to accept every key as a tenant of its own'
    faults.push({ path: ['host'], message })
  }
  if (any_key === true && tenants !== undefined) {
    faults.push({
      path: ['any_key'],
      message: 'cannot be combined with tenants: if tenants are listed, only their keys are accepted',
    })
  }
  if (typeof store === 'string' && store.startsWith('redis') && secret === undefined) {
    const message = 'must be set (CWM_SECRET) with a Redis store: every cwm on that store needs the same secret'
    faults.push({ path: ['secret'], message })
  }
  if (typeof operator_key === 'string' && keysOf(tenants).includes(keyHash(operator_key))) {
    faults.push({ path: ['operator_key'], message: 'is also the key of a tenant: the operator needs a separate key' })
  }
  if (operator_key !== undefined && operator_key === upstream_api_key) {
    const message = "is also the engine's key (upstream_api_key): anyone who runs the engine could act as the operator"
    faults.push({ path: ['operator_key'], message })
  }
  if (operator_key !== undefined && engineKeysOf(settings.upstream).includes(operator_key)) {
    const message =
      'is also the key of an engine (upstream), so the administrator of that engine could act as the operator; set another key'
    faults.push({ path: ['operator_key'], message })
  }
  const { max_body_bytes: body, max_body_bytes_in_all: bodies } = settings
  if (typeof body === 'number' && typeof bodies === 'number' && bodies < body) {
    const message = `is less than max_body_bytes (${body}): the largest body would always be rejected`
    faults.push({ path: ['max_body_bytes_in_all'], message })
  }
  return faults
}

function engineKeysOf(upstream: unknown): unknown[] {
  if (!Array.isArray(upstream)) return []
  return upstream.flatMap((engine) => (isObject(engine) && engine.key !== undefined ? [engine.key] : []))
}

function keysOf(tenants: unknown): string[] {
  if (!Array.isArray(tenants)) return []
  return (tenants as readonly Partial<TenantSetting>[]).flatMap(({ keys }) =>
    Array.isArray(keys) ? keys.map((key) => key.sha256) : [],
  )
}
