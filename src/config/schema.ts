// Every setting of cwm, with its unit, its default, and the meaning of its absence. Help and docs/configuration.md are generated from this.

import { z } from 'zod'
import { logFormats, logLevels } from '../base/logger.ts'
import { openWebUiTasks } from '../identity/side-requests.ts'
import { affinityKeys } from '../tenants/affinity-key.ts'
import {
  addresses,
  affinity,
  backgroundSlots,
  bytes,
  bytesOrNone,
  cacheBytes,
  count,
  countOrNone,
  encryptionKey,
  flag,
  headerPairs,
  limits,
  MIB,
  ms,
  names,
  oneOf,
  port,
  routes,
  share,
  storeAddress,
  text,
  unsalted,
  url,
} from './fields.ts'
import { findConflicts } from './rules.ts'
import { bounds, tenants } from './tenants.ts'
import { upstream } from './upstreams.ts'

const DAY_MS = 24 * 3_600_000

const shape = {
  upstream: upstream.describe(
    'Address of the engine (its OpenAI-compatible server), or of a router. Required. For several engines (docs/fleet.md): a comma-separated list of addresses; in the file, a list of addresses or `{url, weight, key, lmcache_instance, drain}`; or a DNS name, as `dns+http://NAME:PORT` (address records) or `dns+http://_SERVICE._PROTO.NAME` (SRV records). A reload changes lists and DNS names; a single address needs a restart',
  ),
  dns_interval_ms: count
    .default(10_000)
    .describe('How often cwm resolves the DNS name in upstream, milliseconds. A failed lookup changes nothing'),
  engine_health_interval_ms: count
    .default(5_000)
    .describe(
      'How often cwm checks the health of each engine, if there are several, milliseconds. After two failures in a row, the engine is down',
    ),
  engine_slow_start_ms: ms
    .default(30_000)
    .describe(
      'How long an engine that is new, or back after it was down, receives fewer new sessions, milliseconds. Its weight rises from a tenth to the full weight. 0 gives it the full weight at once',
    ),
  upstream_api_key: text()
    .optional()
    .describe(
      "API key for the engine, sent instead of the client's. Without it, cwm forwards the client's key, or no key if tenants are listed",
    ),
  affinity: affinity
    .default('none')
    .describe(
      'Router in front of the engines. cwm sends it a key for each session, in the header that the router reads: vllm-router, llm-d, dynamo, aibrix, or header:NAME for any other router that hashes a header. none sends no key (docs/fleet.md)',
    ),
  affinity_key: oneOf(affinityKeys)
    .default('lineage')
    .describe(
      'Which sessions share an affinity key, and so an engine. lineage: all sessions of a lineage, because they share the KV of a window. session: each session has its own key, so that many sessions of one window spread over several engines',
    ),
  coordinator: url
    .optional()
    .describe('Address of the LMCache coordinator. Default: the one that the LMCache server reports'),
  lmcache: url
    .optional()
    .describe('HTTP address of one LMCache server. Default: the servers that the coordinator lists'),
  l2_shared: flag
    .optional()
    .describe(
      'Whether all LMCache servers share one L2, so that every engine can load what another stored. By default, cwm detects this from `"shared": true` of the adapters and from the address of their Redis',
    ),
  host: text().default('127.0.0.1').describe('Address to listen on'),
  port: port.default(8787).describe('Port to listen on; 0 picks a free port'),
  data_dir: text().default('.cwm').describe('Directory for the store and the secret, created with mode 0700'),
  store: storeAddress
    .default('sqlite')
    .describe(
      'Where sessions and windows are stored: `sqlite`, a file in the data directory, or the address of a Redis that several proxies share, ' +
        'as `redis://`, `rediss://` or `redis-cluster://`. Set an address that contains a password through the variable',
    ),
  secret: text(16)
    .optional()
    .describe(
      'Secret from which all salts are derived, 16 characters or more. Default: generated in the data directory',
    ),
  encryption_key: encryptionKey
    .optional()
    .describe(
      'Encrypts messages and token ids in the store: 32 bytes in base64 or hex. Without it they are stored in clear text',
    ),
  encryption_keys_old: names
    .pipe(z.array(encryptionKey))
    .default([])
    .describe('Previous values of encryption_key, needed until everything is encrypted with the new key'),
  operator_key: text(16)
    .optional()
    .describe(
      'API key of the operator: metrics, audit log, and REST for any tenant (header x-cwm-tenant). Without it, metrics are readable from loopback only',
    ),
  operator_reads_messages: flag
    .default(false)
    .describe(
      'Allow the operator key to read, search, export and ask the messages of tenants. Each access is in the audit log of the tenant',
    ),
  tenants: tenants
    .optional()
    .describe(
      'Tenants and their keys. Without this, each key is a tenant of its own, and requests without a key are one tenant',
    ),
  any_key: flag
    .default(false)
    .describe('Allow listening beyond loopback without tenants: every key is accepted as a tenant of its own'),
  trusted_proxies: addresses
    .default([])
    .describe(
      'Proxies in front of cwm whose X-Forwarded-For cwm trusts: addresses and CIDR ranges. The client address is the rightmost one in that header that is not a trusted proxy. Only used without tenants, where clients share slots and memory by address',
    ),
  exempt_addresses: addresses
    .default(['127.0.0.0/8', '::1'])
    .describe(
      'Client addresses and CIDR ranges from which each key has a share of its own. Without tenants, all keys of any other address (in IPv6: of its /64) together may take what one tenant may take',
    ),
  isolation: bounds.isolation
    .default('session')
    .describe(
      "How far KV is shared within a tenant: session (not shared), user (among a user's sessions; a request without a user shares with nobody), or tenant (among all of its sessions)",
    ),
  max_in_flight: count
    .default(512)
    .describe(
      'Maximum requests with a body in flight at once, over all tenants; more wait. Keep this at or below connections: beyond that, requests queue without per-tenant fairness',
    ),
  max_in_flight_per_tenant: bounds.max_in_flight_per_tenant
    .optional()
    .describe('Requests with a body that a tenant may have in flight at once; more wait. Default: no limit'),
  requests_per_minute: bounds.requests_per_minute
    .optional()
    .describe(
      'Requests to models that a tenant may send within a minute; more are rejected (429). Also for a single key, in its entry. Default: no limit (docs/rate-limits.md)',
    ),
  tokens_per_minute: bounds.tokens_per_minute
    .optional()
    .describe(
      'Tokens that engines may compute for a tenant within a minute, prompts and answers; cached and restored tokens are free. More are rejected (429). Also for a single key, in its entry. Default: no limit (docs/rate-limits.md)',
    ),
  queue_ms: ms
    .default(30_000)
    .describe(
      'How long a request over max_in_flight or max_in_flight_per_tenant waits before it is rejected (429), milliseconds; 0 rejects it at once',
    ),
  max_queued: count
    .default(1024)
    .describe(
      'Maximum requests that wait at once, over all tenants. One more displaces the newest request of the tenant with the longest queue',
    ),
  max_background: backgroundSlots
    .optional()
    .describe(
      'Background jobs at once, in addition to max_in_flight: freezes after an answer, repairs, and deletes. A quarter, at least one, is for deletes only. Default: a sixteenth of max_in_flight, at least 2',
    ),
  max_preflights: count
    .default(64)
    .describe(
      'Maximum OPTIONS requests in flight at once; more are rejected (429). Browsers send them without a key, so they count toward no tenant. Keep this below connections',
    ),
  max_sessions: bounds.max_sessions.optional().describe('Sessions that a tenant may have. Default: no limit'),
  max_windows: bounds.max_windows.optional().describe('Windows that a tenant may have. Default: no limit'),
  max_window_bytes: bounds.max_window_bytes
    .optional()
    .describe("Bytes of messages and token ids in all of a tenant's windows. Default: no limit"),
  max_pinned_tokens: bounds.max_pinned_tokens
    .optional()
    .describe("Tokens in all of a tenant's pinned windows. Default: no limit"),
  when_pins_full: bounds.when_pins_full
    .default('reject')
    .describe(
      'What to do when a pin does not fit: reject it, or release the pins of the least recently thawed windows',
    ),
  pin_ttl_ms: bounds.pin_ttl_ms
    .default(0)
    .describe(
      'How long after its last thaw a window keeps its pin, milliseconds; 0 keeps it until the window is deleted',
    ),
  kv_quota_gb: bounds.kv_quota_gb
    .default(8)
    .describe("Quota for each session's KV, GiB, registered with LMCache servers that evict per salt (IsolatedLRU)"),
  limits: limits
    .default({})
    .describe(
      "Context limits by served name, tokens, instead of the engine's max_model_len: for an engine that does not report it, or to stay below it",
    ),
  overflow: bounds.overflow
    .default('pass')
    .describe(
      'What to do with a turn that does not fit the context: pass it unchanged, reject it before any compute, or rollover: freeze the whole conversation, then send only the newest exchanges',
    ),
  freeze_at: bounds.freeze_at
    .default(0.75)
    .describe(
      'Share of the context limit at which a session is frozen automatically, after the answer; 0 disables this',
    ),
  freeze_cooldown_ms: ms
    .default(60_000)
    .describe('Minimum time between two automatic freezes of a session, milliseconds'),
  rollover_to: bounds.rollover_to
    .default(0.5)
    .describe('Share of the context limit to which a rollover cuts the prompt'),
  keep_first: bounds.keep_first
    .default(0)
    .describe(
      'How many of the first exchanges a rollover keeps, in addition to system messages and the newest exchanges',
    ),
  rollover_note: bounds.rollover_note
    .default(false)
    .describe('Tell the model, in its system prompt, that earlier turns are in a window'),
  max_auto_windows_per_session: bounds.max_auto_windows_per_session
    .default(8)
    .describe('Automatic windows kept per session. The oldest are deleted first; windows frozen on request never are'),
  max_auto_windows: bounds.max_auto_windows
    .default(1000)
    .describe('Automatic windows kept per tenant. The oldest are deleted first; windows frozen on request never are'),
  thaw_after_ms: ms
    .default(0)
    .describe(
      'Idle time after which the newest window of a returning session is prefetched into LMCache, milliseconds; 0 disables this',
    ),
  events_keep: count
    .default(10_000)
    .describe(
      'Events kept for clients that reconnect, over all tenants; beyond that, the tenant with the most loses its oldest first',
    ),
  kv_epoch: countOrNone
    .default(0)
    .describe(
      "Number in every salt. Increase it when dtype or weights change under the same model path, because LMCache's keys do not include them. All windows are then cold",
    ),
  preserve_host: flag.default(false).describe("Forward the client's Host header instead of the upstream's own host"),
  allowed_hosts: names
    .default([])
    .describe(
      'Host names accepted while cwm listens on loopback, in addition to those of loopback (against DNS rebinding)',
    ),
  allowed_fields: bounds.allowed_fields
    .default([])
    .describe('Fields and headers that tenants may send although they bypass the gateway'),
  routes: routes.default({}).describe('Paths to forward in addition to those of vLLM'),
  unsalted_paths: unsalted
    .default([])
    .describe(
      'Paths of the engine that compute KV without a salt and are rejected otherwise (docs/paths.md). Their KV is shared by all tenants',
    ),
  max_body_bytes: bytes.optional().describe('Largest request body, bytes'),
  max_body_bytes_in_all: bytes
    .optional()
    .describe(
      'Maximum bytes of all request bodies held at once, decompressed; beyond that, requests are rejected (429). A tenant may hold no more than what is still free, unless its body is the only one',
    ),
  max_unpacked_ratio: count
    .default(200)
    .describe('Bytes that each byte of a compressed body may decompress to, beyond the first 4 MiB'),
  max_body_values: count
    .default(100_000)
    .describe(
      'Maximum objects, lists, and strings in a JSON body, including keys. Fifteen times as many numbers are allowed, so that a prompt of a million token ids is accepted',
    ),
  max_object_members: count.default(20_000).describe('Maximum members of an object in a JSON body'),
  max_messages: count.default(10_000).describe('Maximum messages, or items of `input`, in a body'),
  max_header_bytes: bytes.default(64 * 1024).describe('Largest request header section, bytes'),
  max_headers: count.default(256).describe('Maximum headers of a request'),
  request_headers_timeout_ms: ms
    .default(60_000)
    .describe("Time for a request's headers to arrive, milliseconds; 0 for no limit"),
  body_timeout_ms: ms.default(300_000).describe('Time for the whole request to arrive, milliseconds; 0 for no limit'),
  body_grace_ms: ms
    .default(10_000)
    .describe('How long a request body may take before min_body_bytes_per_second applies to it, milliseconds'),
  min_body_bytes_per_second: countOrNone
    .default(1_000)
    .describe(
      'Average rate at which a request body must arrive after body_grace_ms, bytes per second; a slower one is rejected (408). 0 allows any',
    ),
  client_stall_ms: ms
    .default(120_000)
    .describe('How long a client may stop reading an answer before it is disconnected, milliseconds; 0 for no limit'),
  keep_alive_ms: ms
    .default(75_000)
    .describe(
      'How long an idle connection stays open, milliseconds; 0 for no limit. Keep this longer than the idle timeout of a load balancer in front of cwm',
    ),
  max_held_bytes: bytes
    .default(16 * MIB)
    .describe('Largest JSON answer that is held until complete, bytes. A larger one passes unread'),
  max_observed_bytes: bytes
    .default(16 * MIB)
    .describe('Longest stream whose reply is read, bytes. After a longer one, the history is not recognized'),
  max_observed_bytes_in_all: bytes
    .optional()
    .describe(
      'Maximum bytes of all answers in memory at once: held, observed, or waiting for their clients. A tenant may hold no more than what is still free; beyond that, its answers pass unread, and those of REST are rejected (429)',
    ),
  retain: oneOf(['memory', 'disk', 'off'])
    .default('memory')
    .describe(
      "Where each session's last turn is kept so that it can be frozen by REST: memory, disk (the store), or off",
    ),
  retain_bytes: bytes
    .optional()
    .describe(
      'Maximum bytes of all retained turns; beyond that, the tenant with the most loses its oldest first. In memory, older turns of 16 KiB and more are compressed once a quarter is used',
    ),
  base_window_bytes: bytes.optional().describe('Memory for the messages of thawed windows, bytes'),
  passage_index_bytes: bytesOrNone
    .optional()
    .describe(
      'Memory for the index of window texts that `select` searches, bytes. A window takes about twice its text. Tenants share it fairly; 0 disables the index',
    ),
  tracking_bytes: cacheBytes
    .optional()
    .describe(
      'Memory for sessions and the histories by which they are recognized, bytes. The store keeps all of them; a session takes about 1,000 bytes',
    ),
  boundary_ttl_ms: ms
    .default(7 * DAY_MS)
    .describe(
      'How long a history is recognized after its last turn, milliseconds. Then cwm ends its unnamed session. 0 recognizes no history, and ends no unnamed session',
    ),
  session_ttl_ms: ms
    .default(30 * DAY_MS)
    .describe('How long after its last turn cwm ends a named or thawed session, milliseconds; 0 for never'),
  response_ttl_ms: ms
    .default(DAY_MS)
    .describe('How long the id of a stored response leads to its session, milliseconds'),
  deletion_retry_ms: count
    .default(5_000)
    .describe(
      'Delay before an incomplete delete is retried in LMCache, milliseconds. It doubles with each try, up to an hour',
    ),
  deletion_keep_ms: ms.default(30 * DAY_MS).describe('How long the receipt of a delete is kept, milliseconds'),
  usage_keep_ms: ms
    .default(90 * DAY_MS)
    .describe('How long the ledger keeps hourly counts, milliseconds. Counts by minute are kept for a day'),
  audit_keep: count
    .default(100_000)
    .describe(
      'Entries of successes kept in the audit log, and as many of failed attempts, over all tenants; beyond that, the tenant with the most loses its oldest first',
    ),
  connections: count.default(512).describe('Maximum connections to the upstream'),
  connect_timeout_ms: ms.default(10_000).describe('Time to connect to the upstream, milliseconds'),
  upstream_keep_alive_ms: count
    .default(3_000)
    .describe(
      "How long an idle connection to the upstream stays open, milliseconds. Keep this below the upstream's own idle timeout (uvicorn: 5 s)",
    ),
  headers_timeout_ms: ms
    .default(1_800_000)
    .describe(
      "Time until the upstream's answer starts, milliseconds; 0 for no limit. The default is long because a prefill can take minutes",
    ),
  heartbeat_ms: ms
    .default(0)
    .describe(
      'Interval of comments sent to the client of a stream until the first token arrives, milliseconds; 0, the default, sends none. Status 200 is then sent with the first comment',
    ),
  ask_progress: oneOf(['reasoning', 'none'])
    .default('reasoning')
    .describe(
      'What chat apps on the base URL /cwm/a/TAG/v1 receive while windows are asked: reasoning (one line of reasoning for each window as it is done) or none',
    ),
  ask_reduce_model: text()
    .optional()
    .describe(
      'Served name of the model that writes the replies on /cwm/a/TAG/v1, and answers the side requests of chat apps. Default: the model of most of the windows with the tag',
    ),
  ask_side_requests: names
    .default([...openWebUiTasks])
    .describe(
      'Beginnings of the prompts of side requests from chat apps (for a title, tags, or follow-up questions). The model answers these without asking any window. Line breaks count as spaces. Default: the task prompts of Open WebUI',
    ),
  stream_timeout_ms: ms
    .default(0)
    .describe('Longest pause between two byte chunks of an answer, milliseconds; 0, the default, for no limit'),
  breaker_failures: countOrNone
    .default(5)
    .describe(
      'Consecutive connection failures (refused, timed out, or broken before an answer) that open the circuit breaker; 0 disables it',
    ),
  breaker_open_ms: count
    .default(2_000)
    .describe('How long the circuit breaker stays open before one request tests the upstream, milliseconds'),
  lmcache_timeout_ms: ms.default(10_000).describe("Timeout of a call to LMCache's control plane, milliseconds"),
  keep_awake_ms: ms
    .default(1_200_000)
    .describe(
      "How often cwm sends each engine a small request, so that its LMCache server does not forget it while idle, milliseconds; 0 for never. Only with LMCache. Keep it below a third of the server's `--worker-registration-grace-seconds` (an hour)",
    ),
  verify_deadline_ms: ms
    .default(10_000)
    .describe('How long a freeze waits for its chunks to appear in the directory, milliseconds'),
  reconcile_interval_ms: ms.default(300_000).describe('Interval of the reconciler, milliseconds'),
  drain_delay_ms: ms
    .default(0)
    .describe(
      'On shutdown, how long cwm still accepts connections while /cwm/readyz answers 503, so that load balancers first stop sending requests, milliseconds',
    ),
  drain_ms: ms
    .default(30_000)
    .describe(
      'On shutdown, how long current answers and freezes may take to finish before they are aborted, milliseconds',
    ),
  dashboard: flag
    .default(true)
    .describe('Whether to serve the dashboard under `/cwm/` and the documentation under `/cwm/docs/`'),
  otlp_endpoint: url
    .optional()
    .describe(
      'Address of an OpenTelemetry collector that receives a trace of each forwarded request, as OTLP over HTTP; cwm adds `/v1/traces`. Default: the variable OTEL_EXPORTER_OTLP_ENDPOINT; without either, nothing is traced (docs/tracing.md)',
    ),
  otlp_headers: headerPairs
    .optional()
    .describe(
      'Headers for the collector, for example its key: `name=value` pairs, separated by commas. Default: the variable OTEL_EXPORTER_OTLP_HEADERS',
    ),
  trace_sample_ratio: share
    .default(1)
    .describe('Share of requests that are traced. A client that sends traceparent decides for itself'),
  log_level: oneOf(logLevels).default('info').describe('Minimum level of log lines, which go to standard error'),
  log_format: oneOf(logFormats)
    .optional()
    .describe(
      'Format of everything written to standard error: `json`, one object per line, or `text`. Default: `text` on a terminal, `json` elsewhere',
    ),
}

/** Named as in the settings file. The variable of `max_body_bytes` is `CWM_MAX_BODY_BYTES`, its flag `--max-body-bytes`. */
export const settingsSchema = z.strictObject(shape).superRefine(
  (settings, context) => {
    for (const fault of findConflicts(settings)) context.addIssue({ code: 'custom', ...fault })
  },
  // Reported together with errors of single settings, not after them.
  { when: () => true },
)

export type Settings = z.infer<typeof settingsSchema>
export type SettingName = keyof Settings
export const settingNames = Object.keys(settingsSchema.shape) as SettingName[]

/** Settings that are too large for a variable or a flag. */
export const fileOnly: readonly SettingName[] = ['routes', 'tenants', 'limits']

/**
 * Settings that a reload changes (SIGHUP, `POST /cwm/v1/reload`); all others need a restart. `test/e2e/reload-effects.test.ts` has a test of
 * the effect for each. Rights and limits of tenants are among them.
 */
export const reloadable = [
  // Only from one fleet to another: `planReload`.
  'upstream',
  'upstream_api_key',
  'operator_key',
  'tenants',
  'any_key',
  'max_in_flight',
  'queue_ms',
  'max_queued',
  'max_preflights',
  'limits',
  'log_level',
  ...(Object.keys(bounds) as (keyof typeof bounds)[]),
] as const satisfies readonly SettingName[]
export type ReloadableSetting = (typeof reloadable)[number]
