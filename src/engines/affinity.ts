// The setting `affinity`: which headers carry the affinity key to a router.

import { credentialHeaders } from '../base/auth.ts'

/** `finish`: the router has `POST /finish_session`, which releases a key. */
interface Preset {
  /** Carries the affinity key. */
  readonly header: string
  /** Carries the opaque tenant. */
  readonly tenantHeader?: string
  readonly finish?: true
  /** Paths on which the router drops `cache_salt`, so that nothing isolates their KV. */
  readonly unsalted?: readonly string[]
}

/** From the sources that router-table.ts names. */
const presets = {
  'vllm-router': {
    header: 'x-session-id',
    finish: true,
    // It writes these bodies again without the fields that it does not know: docs/fleet.md#vllms-router.
    unsalted: ['/v1/embeddings', '/rerank', '/v1/rerank'],
  },
  'llm-d': { header: 'x-session-id', tenantHeader: 'x-llm-d-inference-fairness-id' },
  dynamo: { header: 'x-dynamo-session-id' },
  aibrix: { header: 'x-aibrix-session-key' },
} as const satisfies Readonly<Record<string, Preset>>

const presetNames: readonly string[] = Object.keys(presets)

/** The paths on which some router drops the salt. */
export const pathsUnsaltedByRouters: readonly string[] = Object.values<Preset>(presets).flatMap(
  ({ unsalted = [] }) => unsalted,
)

/** The headers of the setting. */
export interface Affinity extends Preset {
  /** The names of all headers that cwm sets, lower case. */
  readonly names: ReadonlySet<string>
}

/** The allowed values, for error messages. */
export const affinityRule = `must be one of none, ${presetNames.join(', ')}, or header:NAME with the name of a header that a router hashes`

const token = /^[!#$%&'*+.^_`|~0-9a-z-]{1,64}$/
/** Headers that mean something to HTTP, to the engine, or to cwm. */
const reservedNames: ReadonlySet<string> = new Set([
  ...credentialHeaders,
  'accept',
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'expect',
  'forwarded',
  'host',
  'keep-alive',
  'origin',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Undefined for `none`, null for a value that is not allowed. */
export function readAffinity(setting: string): Affinity | undefined | null {
  if (setting === 'none') return undefined
  if (Object.hasOwn(presets, setting)) return withNames(presets[setting as keyof typeof presets])
  const name = /^header:(.+)$/.exec(setting)?.[1]?.toLowerCase()
  if (name === undefined || !token.test(name) || reservedNames.has(name)) return null
  if (name.startsWith('x-cwm-') || name.startsWith('x-forwarded-')) return null
  return withNames({ header: name })
}

function withNames(preset: Preset): Affinity {
  const { header, tenantHeader } = preset
  return { ...preset, names: new Set(tenantHeader === undefined ? [header] : [header, tenantHeader]) }
}
