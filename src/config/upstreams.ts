// The setting `upstream`: one engine, a list of engines, or a DNS name whose records are the engines.

import { z } from 'zod'
import { toCwmError } from '../base/errors.ts'
import { dnsNameOf } from '../engines/dns-name.ts'
import type { EngineSpec } from '../engines/engine-spec.ts'
import { engineIdOf } from '../engines/engine-url.ts'
import { flag, text, url } from './fields.ts'

/** Limit of engines in a list or behind a DNS name: each is a value of the metrics' label `engine`. */
export const MAX_ENGINES = 128
/** Highest weight of an engine, as in SRV records. */
const MAX_WEIGHT = 65_535
const WEIGHT_RULE = `must be a number from 0 to ${MAX_WEIGHT}`
const FORMS_RULE =
  'must be an http:// or https:// address, a list of them (comma-separated, or in the file), or dns+http://NAME:PORT'
const ENTRY_RULE = 'must be an address, or {url, weight, key, lmcache_instance, drain}'

/** Checks an address whose form is already known to be right. */
function isUsable(address: string): boolean {
  try {
    engineIdOf(address)
    return true
  } catch {
    return false
  }
}

const engineUrl = url.refine(isUsable, {
  error: 'must be an address without user, password, query, and fragment; put an API key into key',
  abort: true,
})

const entry = z.preprocess(
  (value) => (typeof value === 'string' ? { url: value } : value),
  z.strictObject(
    {
      url: engineUrl,
      weight: z.number(WEIGHT_RULE).min(0, WEIGHT_RULE).max(MAX_WEIGHT, WEIGHT_RULE).default(1),
      key: text().optional(),
      lmcache_instance: text().optional(),
      drain: flag.default(false),
    },
    ENTRY_RULE,
  ),
)

export type UpstreamEntry = z.infer<typeof entry>

const list = z
  .array(entry)
  .min(1, 'must list at least one engine')
  .max(MAX_ENGINES, `must list ${MAX_ENGINES} engines or fewer`)
  .superRefine((entries, context) => {
    const ids = entries.map((one) => engineIdOf(one.url))
    for (const [i, id] of ids.entries()) {
      if (ids.indexOf(id) < i) {
        context.addIssue({ code: 'custom', path: [i, 'url'], message: 'is a duplicate: list each engine once' })
      }
    }
    if (entries.length > 0 && entries.every(({ drain }) => drain)) {
      context.addIssue({ code: 'custom', message: 'must have at least one engine without drain: true' })
    }
  })

const dnsAddress = z.string().superRefine((address, context) => {
  try {
    dnsNameOf(address)
  } catch (thrown) {
    context.addIssue({ code: 'custom', message: toCwmError(thrown).message })
  }
})

const one = z.string(FORMS_RULE).pipe(url)

/** An address, as it is written; a list of engines; or `dns+http://…`. A parsed value can be parsed again. */
export const upstream = z.unknown().transform((written, context): string | readonly UpstreamEntry[] => {
  const value = typeof written === 'string' && written.includes(',') ? split(written) : written
  const schema = Array.isArray(value) ? list : isDns(value) ? dnsAddress : one
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  context.issues.push(...parsed.error.issues.map((issue) => ({ ...issue, input: undefined })))
  return z.NEVER
})

export type UpstreamSetting = z.infer<typeof upstream>

function split(text: string): string[] {
  return text
    .split(',')
    .map((address) => address.trim())
    .filter((address) => address !== '')
}

function isDns(value: unknown): boolean {
  return typeof value === 'string' && value.startsWith('dns+')
}

/** Whether a reload can add and remove engines: true for a list, even of one engine, and for a DNS name. */
export function isFleet(setting: UpstreamSetting): boolean {
  return typeof setting !== 'string' || isDns(setting)
}

/** The engines that the setting lists. Undefined for a DNS name. */
export function enginesOf(setting: UpstreamSetting): readonly EngineSpec[] | undefined {
  if (typeof setting === 'string') return isDns(setting) ? undefined : [{ url: setting, weight: 1 }]
  return setting.map(({ url, weight, key, lmcache_instance, drain }) => ({
    url,
    weight,
    ...(key === undefined ? {} : { apiKey: key }),
    ...(lmcache_instance === undefined ? {} : { kvServer: lmcache_instance }),
    ...(drain ? { drain } : {}),
  }))
}

/** The address of the first engine, or the DNS name. */
export function firstAddressOf(setting: UpstreamSetting): string {
  return typeof setting === 'string' ? setting : (setting[0]?.url ?? '')
}

/** How the setting reads in a message: addresses only, never a key. */
export function describeUpstream(setting: UpstreamSetting): string {
  if (typeof setting === 'string') return setting
  return setting.map(({ url }) => url).join(', ')
}
