// The forms that settings take: numbers, sizes, names and addresses as a file, a variable and a flag spell them.

import { z } from 'zod'

export const MIB = 1024 * 1024

export const url = z
  .string()
  .regex(/^https?:\/\/\S+$/, 'must begin with http:// or https://')
  .refine((text) => URL.canParse(text), 'must be an address such as http://127.0.0.1:8000')

/** Numbers as a variable or a flag spells them. Not `Number()` alone, which makes 0 of nothing and 1 of `true`. */
const spelt = (spelling: RegExp, schema: z.ZodNumber) =>
  z.preprocess((value) => (typeof value === 'string' && spelling.test(value.trim()) ? Number(value) : value), schema)

const whole = (schema: z.ZodNumber) => spelt(/^\d{1,15}$/, schema.int())

export const port = whole(z.number().min(0).max(65_535))
export const bytes = whole(z.number().min(1024))
export const ms = whole(z.number().min(0))
export const count = whole(z.number().min(1))
export const countOrNone = whole(z.number().min(0))
/** Of a whole, 0 to 1. */
export const share = spelt(/^(0|1|0?\.\d{1,6}|[01]\.\d{1,6})$/, z.number().min(0).max(1))
export const gigabytes = spelt(/^\d{1,9}(\.\d{1,9})?$/, z.number().positive())

/** `true` and `false` as an environment variable spells them. */
export const flag = z.union([
  z.boolean(),
  z.enum(['true', 'false', '1', '0']).transform((text) => text === 'true' || text === '1'),
])

export const names = z.union([
  z.array(z.string().min(1)),
  z.string().transform((text) =>
    text
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  ),
])

/** May hold a password: never shown. */
export const storeAddress = z
  .string()
  .regex(
    /^(sqlite|rediss?(-cluster)?:\/\/\S+)$/,
    'must be sqlite, or an address that begins with redis://, rediss://, redis-cluster:// or rediss-cluster://',
  )

export const encryptionKey = z
  .string()
  .regex(
    /^([0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{43}=?)$/,
    'must be 32 bytes as base64 or hex, as openssl rand -hex 32 makes',
  )

/** Tokens by served name. */
export const limits = z.record(z.string().min(1), z.number('must be a number of tokens').int().min(16))

const dialect = z.enum(['chat', 'completions', 'responses', 'messages'])
const path = z
  .string()
  .regex(/^(?!.*(\/\/|\/\.))\/[\x21-\x7e]*$/, 'must be a plain path beginning with /')
  .regex(/^[^%\\;?#]*$/, 'must be a plain path, without a query and unescaped: another spelling is never matched')

export const routes = z.strictObject({
  salted: z
    .record(path, dialect)
    .optional()
    .describe('Further paths whose JSON body gets the salt, each with the dialect that it is in'),
  plain: z
    .record(path, z.array(z.enum(['GET', 'POST', 'PUT', 'DELETE', 'PATCH'])))
    .optional()
    .describe(
      'Further paths that pass as they are, each with its methods. They must not touch KV: nothing isolates them',
    ),
})
