// Every setting of cwm: unit, default, and what absence means. The only place where settings are described.

import { z } from 'zod'
import { logLevels } from '../base/logger.ts'

const MIB = 1024 * 1024

const url = z
  .string()
  .regex(/^https?:\/\/\S+$/, 'must begin with http:// or https://')
  .refine((text) => URL.canParse(text), 'must be an address such as http://127.0.0.1:8000')
/** Digits as a variable or a flag spells them. Not `Number()`, which makes 0 of nothing and 1 of `true`. */
const whole = (number: z.ZodNumber) =>
  z.preprocess(
    (value) => (typeof value === 'string' && /^\d{1,15}$/.test(value.trim()) ? Number(value) : value),
    number,
  )
const port = whole(z.number().int().min(0).max(65_535))
const bytes = whole(z.number().int().min(1024))
const ms = whole(z.number().int().min(0))
const count = whole(z.number().int().min(1))
/** `true` and `false` as an environment variable spells them. */
const flag = z.union([
  z.boolean(),
  z.enum(['true', 'false', '1', '0']).transform((text) => text === 'true' || text === '1'),
])
const names = z.union([
  z.array(z.string().min(1)),
  z.string().transform((text) =>
    text
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  ),
])

const dialect = z.enum(['chat', 'completions', 'responses', 'messages'])
const path = z
  .string()
  .regex(/^(?!.*(\/\/|\/\.))\/[\x21-\x7e]*$/, 'must be a plain path beginning with /')
  .regex(/^[^%\\;?#]*$/, 'must be a plain path, without a query and unescaped: another spelling is never matched')
const routes = z.strictObject({
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

/** Names as in the file; the variable of `max_body_bytes` is `CWM_MAX_BODY_BYTES`, its flag `--max-body-bytes`. */
export const settingsSchema = z.strictObject({
  upstream: url.describe('The engine: its OpenAI-compatible server. Required'),
  upstream_api_key: z
    .string()
    .min(1)
    .optional()
    .describe("Replaces the client's key towards the upstream. Without it the client's own key goes on"),
  coordinator: url.optional().describe("LMCache's coordinator. Without it, the one that the LMCache server names"),
  lmcache: url
    .optional()
    .describe('HTTP side of one LMCache server. Without it, the servers that the coordinator lists'),
  host: z.string().min(1).default('127.0.0.1').describe('Address to listen on'),
  port: port.default(8787).describe('Port to listen on; 0 takes any free one'),
  data_dir: z.string().min(1).default('.cwm').describe('Folder of store and secret, made with mode 0700'),
  secret: z
    .string()
    .min(1)
    .optional()
    .describe('What all salts are derived from, 16 characters or more. Without it, one is made in the data directory'),
  operator_key: z.string().min(16).optional().describe('Key for /cwm/metrics. Without it, only loopback may read them'),
  kv_epoch: whole(z.number().int().min(0))
    .default(0)
    .describe("Raise it when dtype or weights change under the same model path: LMCache's keys do not hold them"),
  preserve_host: flag.default(false).describe("Send the client's Host to the upstream instead of the upstream's own"),
  allowed_hosts: names
    .default([])
    .describe(
      "Host names, beside loopback's own, that are answered while cwm listens on loopback (against DNS rebinding)",
    ),
  allowed_fields: names
    .default([])
    .describe('Fields and headers that reach below the gateway and that tenants may set all the same'),
  routes: routes.default({}).describe('Paths beside those of vLLM that are forwarded'),
  max_body_bytes: bytes.default(64 * MIB).describe('Largest request body, bytes'),
  max_header_bytes: bytes.default(64 * 1024).describe('Largest request header section, bytes'),
  body_timeout_ms: ms.default(300_000).describe('Time for a request to arrive whole, milliseconds; 0 waits for ever'),
  max_held_bytes: bytes
    .default(16 * MIB)
    .describe('Largest JSON answer that is held until whole; a larger one passes unread'),
  max_observed_bytes: bytes
    .default(16 * MIB)
    .describe('Longest stream whose reply is read; after a longer one the history is not recognised'),
  max_observed_bytes_in_all: bytes
    .default(256 * MIB)
    .describe('Bytes of all answers that are kept for reading at one moment'),
  retain_bytes: bytes.default(256 * MIB).describe("Memory for sessions' last turns, so that REST can freeze them"),
  base_window_bytes: bytes.default(256 * MIB).describe('Memory for the messages of thawed windows'),
  max_sessions: count.default(100_000).describe('Sessions kept in memory; the store has them all'),
  max_boundaries: count
    .default(500_000)
    .describe('History boundaries kept in memory, about 200 bytes each; the store has them all'),
  boundary_ttl_ms: ms
    .default(7 * 24 * 3_600_000)
    .describe(
      'Time after which a history that nobody continued is no longer recognised, and its unnamed session is dropped, milliseconds',
    ),
  connections: count.default(512).describe('Sockets to the upstream'),
  connect_timeout_ms: ms.default(10_000).describe('Time to connect to the upstream, milliseconds'),
  headers_timeout_ms: ms
    .default(1_800_000)
    .describe(
      "Time until the upstream's answer begins, milliseconds; 0 waits for ever. A long prefill is not a dead engine",
    ),
  stream_timeout_ms: ms
    .default(0)
    .describe('Time between two byte chunks of an answer, milliseconds; 0, the default, waits for ever'),
  lmcache_timeout_ms: ms.default(10_000).describe("Time for one call of LMCache's control plane, milliseconds"),
  verify_deadline_ms: ms
    .default(10_000)
    .describe('Time a freeze waits for its chunks to show in the directory, milliseconds'),
  reconcile_interval_ms: ms.default(300_000).describe('Time between two runs of the reconciler, milliseconds'),
  drain_ms: ms.default(30_000).describe('Time for answers under way to end when cwm is told to stop, milliseconds'),
  log_level: z.enum(logLevels).default('info').describe('Least level that is logged, to standard error'),
})

export type Settings = z.infer<typeof settingsSchema>
export type SettingName = keyof Settings
export const settingNames = Object.keys(settingsSchema.shape) as SettingName[]

/** Settings that are also flags. Secrets are not: every user of a machine can read another's command line. */
export const flagNames = settingNames.filter((name) => !['routes', 'secret', 'operator_key'].includes(name))

/** Whether a setting is true or false, so that its flag alone means true. */
export function isSwitch(name: SettingName): boolean {
  return typeof settingsSchema.shape[name].safeParse(undefined).data === 'boolean'
}

/** What the settings schema says of one setting. */
export function describeSetting(name: SettingName): string {
  return settingsSchema.shape[name].description ?? ''
}
