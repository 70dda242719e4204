// Every setting of cwm: unit, default, and what absence means. The only place where settings are described.

import { z } from 'zod'
import { logFormats, logLevels } from '../base/logger.ts'
import {
  bytes,
  cacheBytes,
  count,
  countOrNone,
  encryptionKey,
  flag,
  limits,
  MIB,
  ms,
  names,
  oneOf,
  port,
  routes,
  storeAddress,
  text,
  url,
} from './fields.ts'
import { describeMemoryDefault, type MemorySetting, memoryRules } from './memory.ts'
import { findConflicts } from './rules.ts'
import { bounds, tenants } from './tenants.ts'

const DAY_MS = 24 * 3_600_000

const shape = {
  upstream: url.describe('The engine: its OpenAI-compatible server. Required'),
  upstream_api_key: text()
    .optional()
    .describe(
      "Key for the engine, in place of the client's own. Without it the client's goes on, or no key where tenants are listed",
    ),
  coordinator: url.optional().describe("LMCache's coordinator. Without it, the one that the LMCache server names"),
  lmcache: url
    .optional()
    .describe('HTTP side of one LMCache server. Without it, the servers that the coordinator lists'),
  host: text().default('127.0.0.1').describe('Address to listen on'),
  port: port.default(8787).describe('Port to listen on; 0 takes any free one'),
  data_dir: text().default('.cwm').describe('Folder of store and secret, made with mode 0700'),
  store: storeAddress
    .default('sqlite')
    .describe(
      'Where sessions and windows are kept: `sqlite`, a file in the data directory, or a Redis that several proxies share, ' +
        'as `redis://`, `rediss://` or `redis-cluster://` address. One with a password belongs in the variable',
    ),
  secret: text(16)
    .optional()
    .describe('What all salts are derived from, 16 characters or more. Without it, one is made in the data directory'),
  encryption_key: encryptionKey
    .optional()
    .describe(
      'Seals messages and token ids in the store: 32 bytes as base64 or hex. Without it they lie in clear text',
    ),
  encryption_keys_old: names
    .pipe(z.array(encryptionKey))
    .default([])
    .describe('Keys that sealed what was stored before encryption_key was changed; needed until all is sealed anew'),
  operator_key: text(16)
    .optional()
    .describe(
      'Key of the operator: metrics, audit log, and REST for any tenant by the header x-cwm-tenant. Without it, only loopback may read metrics',
    ),
  tenants: tenants
    .optional()
    .describe('Who may use cwm, by which keys. Without them each key is a tenant of its own, and so is no key'),
  any_key: flag
    .default(false)
    .describe('Without tenants, listen beyond loopback all the same: every key is let in, and is a tenant of its own'),
  isolation: bounds.isolation
    .default('session')
    .describe(
      "How far KV is shared within a tenant: session, user (one user's sessions share; without a user as session) or tenant",
    ),
  max_in_flight: count
    .default(512)
    .describe(
      'Requests with a body that are in flight at once, of all tenants; more wait. No more than connections, or they wait there, where no tenant has a turn',
    ),
  max_in_flight_per_tenant: bounds.max_in_flight_per_tenant
    .optional()
    .describe('Requests with a body that a tenant may have in flight at once; more wait. Without it, any number'),
  queue_ms: ms
    .default(30_000)
    .describe(
      'Time that a request over one of these bounds waits for its turn, milliseconds, then it is refused (429); 0 refuses it at once',
    ),
  max_queued: count
    .default(1024)
    .describe('Requests of all tenants that wait at once; one more takes the place of the newest of the longest line'),
  max_preflights: count
    .default(64)
    .describe(
      'OPTIONS requests that are in flight at once; one more is refused (429). Browsers send them without a key, so they count for no tenant. Fewer than connections',
    ),
  max_sessions: bounds.max_sessions.optional().describe('Sessions that a tenant may have. Without it, any number'),
  max_windows: bounds.max_windows.optional().describe('Windows that a tenant may have. Without it, any number'),
  max_window_bytes: bounds.max_window_bytes
    .optional()
    .describe("Bytes of messages and token ids in all of a tenant's windows. Without it, any number"),
  max_pinned_tokens: bounds.max_pinned_tokens
    .optional()
    .describe("Tokens in all of a tenant's pinned windows. Without it, any number"),
  when_pins_full: bounds.when_pins_full
    .default('reject')
    .describe('When a pin does not fit: reject it, or release the pins of the windows thawed longest ago'),
  pin_ttl_ms: bounds.pin_ttl_ms
    .default(0)
    .describe(
      'Time after its last thaw at which a window gives its pin back, milliseconds; 0 holds it until the window goes',
    ),
  kv_quota_gb: bounds.kv_quota_gb
    .default(8)
    .describe("Quota of each session's KV, GiB, registered where an LMCache server evicts per salt (IsolatedLRU)"),
  limits: limits
    .default({})
    .describe(
      "Context limits by served name, tokens, in place of the engine's max_model_len: for an engine that tells none, or to stay below it",
    ),
  overflow: bounds.overflow
    .default('pass')
    .describe(
      'A turn that does not fit the context: pass it untouched, reject it before any compute, or rollover: freeze the whole, then send the newest exchanges',
    ),
  freeze_at: bounds.freeze_at
    .default(0.75)
    .describe('Share of the limit at which a session is frozen by itself, after the answer; 0 never'),
  freeze_cooldown_ms: ms
    .default(60_000)
    .describe('Between two such freezes of a session, milliseconds, however fast its context fills'),
  rollover_to: bounds.rollover_to.default(0.5).describe('Share of the limit that a rollover cuts down to'),
  keep_first: bounds.keep_first
    .default(0)
    .describe('First exchanges that a rollover keeps, beside system messages and the newest exchanges'),
  rollover_note: bounds.rollover_note
    .default(false)
    .describe('Tell the model, in its system prompt, that earlier turns are in a window'),
  max_auto_windows_per_session: bounds.max_auto_windows_per_session
    .default(8)
    .describe('Automatic windows kept of one session; the oldest are deleted first, never one frozen by hand'),
  max_auto_windows: bounds.max_auto_windows
    .default(1000)
    .describe('Automatic windows kept of a tenant; the oldest are deleted first, never one frozen by hand'),
  thaw_after_ms: ms
    .default(0)
    .describe(
      'Idle time after which a session that comes back has its newest window prefetched into LMCache, milliseconds; 0 never',
    ),
  events_keep: count.default(10_000).describe('Events kept for who connects again, of all tenants together'),
  kv_epoch: countOrNone
    .default(0)
    .describe("Raise it when dtype or weights change under the same model path: LMCache's keys do not hold them"),
  preserve_host: flag.default(false).describe("Send the client's Host to the upstream instead of the upstream's own"),
  allowed_hosts: names
    .default([])
    .describe(
      "Host names, beside loopback's own, that are answered while cwm listens on loopback (against DNS rebinding)",
    ),
  allowed_fields: bounds.allowed_fields
    .default([])
    .describe('Fields and headers that reach below the gateway and that tenants may set all the same'),
  routes: routes.default({}).describe('Paths beside those of vLLM that are forwarded'),
  max_body_bytes: bytes.optional().describe('Largest request body, bytes'),
  max_body_bytes_in_all: bytes
    .optional()
    .describe(
      'Bytes of all request bodies that are held at one moment, unpacked; over it a request is refused (429). A tenant with more than one body leaves as much free as it holds',
    ),
  max_unpacked_ratio: count
    .default(200)
    .describe('Bytes that one byte of a compressed body may unpack to, beyond the first 4 MiB'),
  max_body_values: count
    .default(100_000)
    .describe(
      'Objects, lists and strings of a body of JSON, keys included. Of numbers there may be fifteen times as many, so that a prompt of a million token ids passes',
    ),
  max_object_members: count.default(20_000).describe('Members of one object in a body of JSON'),
  max_messages: count.default(10_000).describe('Messages, or items of `input`, of a body'),
  max_header_bytes: bytes.default(64 * 1024).describe('Largest request header section, bytes'),
  max_headers: count.default(256).describe('Most headers of a request'),
  request_headers_timeout_ms: ms
    .default(60_000)
    .describe("Time for a request's headers to arrive, milliseconds; 0 waits for ever"),
  body_timeout_ms: ms.default(300_000).describe('Time for a request to arrive whole, milliseconds; 0 waits for ever'),
  client_stall_ms: ms
    .default(600_000)
    .describe(
      'Time for which a client may take nothing of an answer that waits for it, milliseconds; 0 waits for ever',
    ),
  keep_alive_ms: ms
    .default(75_000)
    .describe(
      'Time for which a connection without a request stays open, milliseconds; longer than that of a balancer before cwm. 0 keeps it for ever',
    ),
  max_held_bytes: bytes
    .default(16 * MIB)
    .describe('Largest JSON answer that is held until whole; a larger one passes unread'),
  max_observed_bytes: bytes
    .default(16 * MIB)
    .describe('Longest stream whose reply is read; after a longer one the history is not recognised'),
  max_observed_bytes_in_all: bytes
    .optional()
    .describe(
      'Bytes of all answers that are held or kept for reading at one moment; further ones pass unread, as longer ones do',
    ),
  retain: oneOf(['memory', 'disk', 'off'])
    .default('memory')
    .describe("Where sessions' last turns are kept so that REST can freeze them: memory, disk (the store), or off"),
  retain_bytes: bytes
    .optional()
    .describe(
      'Bytes of all retained turns; the oldest are dropped first. In memory, older ones are compressed once a quarter of it is full',
    ),
  base_window_bytes: bytes.optional().describe('Memory for the messages of thawed windows, bytes'),
  tracking_bytes: cacheBytes
    .optional()
    .describe(
      'Memory for sessions and the histories by which they are found again, bytes; the store has them all, and a session takes about 1,000',
    ),
  boundary_ttl_ms: ms
    .default(7 * DAY_MS)
    .describe(
      'Time after which a history that nobody continued is no longer recognised, and its unnamed session is ended, milliseconds; 0 recognises none, and ends none',
    ),
  session_ttl_ms: ms
    .default(30 * DAY_MS)
    .describe('Time after its last turn at which a named or thawed session is ended, milliseconds; 0 never'),
  response_ttl_ms: ms
    .default(DAY_MS)
    .describe('Time for which the id of a stored response leads to its session, milliseconds'),
  deletion_retry_ms: count
    .default(5_000)
    .describe(
      'Time after which LMCache is asked again for what a delete could not do, twice as long after each try up to an hour, milliseconds',
    ),
  deletion_keep_ms: ms.default(30 * DAY_MS).describe('Time for which the receipt of a delete is kept, milliseconds'),
  audit_keep: count.default(100_000).describe('Entries that the audit log keeps, of all tenants together'),
  connections: count.default(512).describe('Sockets to the upstream'),
  connect_timeout_ms: ms.default(10_000).describe('Time to connect to the upstream, milliseconds'),
  upstream_keep_alive_ms: count
    .default(3_000)
    .describe(
      'Time for which a connection to the upstream stays open without a request, milliseconds; shorter than the upstream keeps it (uvicorn: 5 s)',
    ),
  headers_timeout_ms: ms
    .default(1_800_000)
    .describe(
      "Time until the upstream's answer begins, milliseconds; 0 waits for ever. A long prefill is not a dead engine",
    ),
  heartbeat_ms: ms
    .default(0)
    .describe(
      'Time between two comments to the client of a stream while its first token is awaited, milliseconds; 0, the default, sends none. Status 200 then goes out with the first of them',
    ),
  stream_timeout_ms: ms
    .default(0)
    .describe('Time between two byte chunks of an answer, milliseconds; 0, the default, waits for ever'),
  breaker_failures: countOrNone
    .default(5)
    .describe(
      'Connection failures in a row after which the upstream is not asked for a while: refused, timed out, or broken before an answer; 0 always asks',
    ),
  breaker_open_ms: count
    .default(2_000)
    .describe('That while, after which one request shows whether the upstream is back, milliseconds'),
  lmcache_timeout_ms: ms.default(10_000).describe("Time for one call of LMCache's control plane, milliseconds"),
  verify_deadline_ms: ms
    .default(10_000)
    .describe('Time a freeze waits for its chunks to show in the directory, milliseconds'),
  reconcile_interval_ms: ms.default(300_000).describe('Time between two runs of the reconciler, milliseconds'),
  drain_delay_ms: ms
    .default(0)
    .describe(
      'Time for which cwm, told to stop, still accepts connections while /cwm/readyz says 503, so that load balancers turn away first, milliseconds',
    ),
  drain_ms: ms
    .default(30_000)
    .describe(
      'Time for answers and freezes under way to end once cwm accepts nothing any more; then they are broken, milliseconds',
    ),
  dashboard: flag.default(true).describe('Whether the pages under `/cwm/` are there'),
  log_level: oneOf(logLevels).default('info').describe('Least level that is logged, to standard error'),
  log_format: oneOf(logFormats)
    .optional()
    .describe(
      'Form of all that is written to standard error: `json`, one object a line, or `text`. Without it, `text` on a terminal and `json` elsewhere',
    ),
}

/** Names as in the file; the variable of `max_body_bytes` is `CWM_MAX_BODY_BYTES`, its flag `--max-body-bytes`. */
export const settingsSchema = z.strictObject(shape).superRefine(
  (settings, context) => {
    for (const fault of findConflicts(settings)) context.addIssue({ code: 'custom', ...fault })
  },
  // Told with the faults of single settings, not after them.
  { when: () => true },
)

export type Settings = z.infer<typeof settingsSchema>
export type SettingName = keyof Settings
export const settingNames = Object.keys(settingsSchema.shape) as SettingName[]

/** Too large for a variable or a flag. */
export const fileOnly: readonly SettingName[] = ['routes', 'tenants', 'limits']

const secrets: readonly SettingName[] = [
  'secret',
  'operator_key',
  'upstream_api_key',
  'encryption_key',
  'encryption_keys_old',
]

/** Settings that are also flags. Secrets are not: every user of a machine can read another's command line. */
export const flagNames = settingNames.filter((name) => !fileOnly.includes(name) && !secrets.includes(name))

/** Whether a setting is true or false, so that its flag alone means true. */
export function isSwitch(name: SettingName): boolean {
  return typeof settingsSchema.shape[name].safeParse(undefined).data === 'boolean'
}

/** The default of a setting in words: its value, or for a share of memory how large it is. Undefined where it has none, or an empty list. */
export function describeDefault(name: SettingName): string | undefined {
  return Object.hasOwn(memoryRules, name) ? describeMemoryDefault(name as MemorySetting) : defaultOf(name)
}

/** The default of a setting, as a flag spells it; undefined where it has none, an empty list, or a share of memory. */
export function defaultOf(name: SettingName): string | undefined {
  const { data } = settingsSchema.shape[name].safeParse(undefined)
  return data === undefined || typeof data === 'object' ? undefined : String(data)
}

/** Which values a setting takes, in the words with which any other is refused. */
export function rangeOf(name: SettingName): string {
  const issue = settingsSchema.shape[name].safeParse(Symbol(name)).error?.issues[0]
  return issue?.message.replace(/^must be /, '') ?? ''
}

/** What the settings schema says of one setting. */
export function describeSetting(name: SettingName): string {
  return settingsSchema.shape[name].description ?? ''
}
