// Schemas for the types of settings: numbers, sizes, names, and addresses, as they are written in a file, a variable, or a flag.

import { z } from 'zod'
import { dialectNames } from '../dialects/index.ts'
import { affinityRule, pathsUnsaltedByRouters, readAffinity } from '../engines/affinity.ts'
import { unsaltedPaths } from '../engines/api-paths.ts'
import { isAddressRange } from '../tenants/client-addresses.ts'

export const MIB = 1024 * 1024

export const url = z
  .string('must be an http:// or https:// address')
  // Aborts, because otherwise one wrong value would be reported twice.
  .regex(/^https?:\/\/\S+$/, { error: 'must begin with http:// or https://', abort: true })
  .refine((address) => URL.canParse(address), 'must be an address such as http://127.0.0.1:8000')

/**
 * A number, or its text in a variable or a flag. `Number()` alone would accept an empty string as 0 and `true` as 1. `rule` is the error
 * message for every invalid value.
 */
function numberOf(rule: string, schema: (number: z.ZodNumber) => z.ZodNumber) {
  return z.preprocess(
    (value) =>
      typeof value === 'string' && /^-?(\d{1,15}|\d{0,9}\.\d{1,9})$/.test(value.trim()) ? Number(value) : value,
    schema(z.number(rule)),
  )
}

function whole(unit: string, least: number, most = Number.MAX_SAFE_INTEGER) {
  const range = most === Number.MAX_SAFE_INTEGER ? `, ${least} or more` : ` from ${least} to ${most}`
  const rule = `must be a whole number${unit === '' ? '' : ` of ${unit}`}${range}`
  return numberOf(rule, (number) => number.int(rule).min(least, rule).max(most, rule))
}

export const port = whole('', 0, 65_535)
export const bytes = whole('bytes', 1024)
/** 0 switches off what would use them. */
export const bytesOrNone = whole('bytes', 0)
/** Size of a cache. A smaller one would be useless. */
export const cacheBytes = whole('bytes', MIB)
export const ms = whole('milliseconds', 0)
export const count = whole('', 1)
/** At least one for freezes, and one for deletes. */
export const backgroundSlots = whole('', 2)
export const countOrNone = whole('', 0)
const SHARE_RULE = 'must be a number between 0 and 1'
/** A fraction of a whole. */
export const share = numberOf(SHARE_RULE, (number) => number.min(0, SHARE_RULE).max(1, SHARE_RULE))
const GIGABYTES_RULE = 'must be a number above 0'
export const gigabytes = numberOf(GIGABYTES_RULE, (number) => number.positive(GIGABYTES_RULE))

/** Text of at least `least` characters. */
export function text(least = 1) {
  const rule = least === 1 ? 'must be text' : `must be text of ${least} characters or more`
  return z.string(rule).min(least, rule)
}

/** One of the given words. */
export function oneOf<const Words extends readonly string[]>(words: Words) {
  return z.enum(words, `must be one of ${words.join(', ')}`)
}

const FLAG_RULE = 'must be true or false'
/** `true` and `false` as an environment variable spells them. */
export const flag = z.union(
  [z.boolean(), z.enum(['true', 'false', '1', '0']).transform((word) => word === 'true' || word === '1')],
  FLAG_RULE,
)

export const names = z.union(
  [
    z.array(z.string().min(1)),
    z.string().transform((list) =>
      list
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== ''),
    ),
  ],
  'must be a list of names, or comma-separated text',
)

const ADDRESS_RULE = 'must be a list of addresses and CIDR ranges, such as 10.0.0.0/8 or 2001:db8::1'
/** IP addresses and CIDR ranges. */
export const addresses = names.refine((list) => list.every(isAddressRange), ADDRESS_RULE)

/** Which affinity headers are sent. */
export const affinity = z.string(affinityRule).refine((value) => readAffinity(value) !== null, affinityRule)

const STORE_RULE =
  'must be sqlite, or an address that starts with redis://, rediss://, redis-cluster:// or rediss-cluster://'
/** May contain a password, so it is never printed. */
export const storeAddress = z.string(STORE_RULE).regex(/^(sqlite|rediss?(-cluster)?:\/\/\S+)$/, STORE_RULE)

const KEY_RULE = 'must be 32 bytes in base64 or hex; openssl rand -hex 32 generates one'
export const encryptionKey = z.string(KEY_RULE).regex(/^([0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{43}=?)$/, KEY_RULE)

const LIMIT_RULE = 'must be a whole number of tokens, 16 or more'
/** Context limits in tokens, by served name. */
export const limits = z.record(
  z.string().min(1),
  z.number(LIMIT_RULE).int(LIMIT_RULE).min(16, LIMIT_RULE),
  'must be a map of served names to tokens, each a whole number, 16 or more',
)

const HEADERS_RULE = 'must be a list of name=value pairs, separated by commas'
/** Values are percent-encoded, as in OTEL_EXPORTER_OTLP_HEADERS. May contain a key, so it is never printed. */
export const headerPairs = z.string(HEADERS_RULE).regex(/^\s*[^\s=,]+\s*=[^,]*(,\s*[^\s=,]+\s*=[^,]*)*$/, HEADERS_RULE)

const dialect = oneOf(dialectNames)
const path = z
  .string()
  .regex(/^(?!.*(\/\/|\/\.))\/[\x21-\x7e]*$/, 'must be a plain path starting with /')
  .regex(/^[^%\\;?#]*$/, 'must be a plain path without query or escapes: paths are compared literally')

const unsaltable = [...unsaltedPaths, ...pathsUnsaltedByRouters]
const UNSALTED_RULE = `must be a list of these paths: ${unsaltable.join(', ')}`
/** Paths of the engine that take no salt, or lose it at a router. */
export const unsalted = names.refine((list) => list.every((path) => unsaltable.includes(path)), UNSALTED_RULE)

export const routes = z.strictObject(
  {
    salted: z
      .record(path, dialect)
      .optional()
      .describe('Additional paths whose JSON body gets the salt, each with its dialect'),
    plain: z
      .record(path, z.array(oneOf(['GET', 'POST', 'PUT', 'DELETE', 'PATCH'])))
      .optional()
      .describe(
        'Additional paths forwarded unchanged, each with its methods. They must not use KV, because nothing isolates them',
      ),
  },
  'must be a map with the keys salted and plain, each a map of paths',
)
