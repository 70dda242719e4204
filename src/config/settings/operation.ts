// Settings: what is kept and how long, timeouts, shutdown, and what cwm reports about itself.

import { logFormats, logLevels } from '../../base/logger.ts'
import { openWebUiTasks } from '../../identity/side-requests.ts'
import {
  bytes,
  bytesOrNone,
  cacheBytes,
  count,
  countOrNone,
  flag,
  headerPairs,
  ms,
  names,
  oneOf,
  share,
  text,
  url,
} from '../fields.ts'

const DAY_MS = 24 * 3_600_000

export const operationSettings = {
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
