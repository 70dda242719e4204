// Settings: isolation, what a tenant may use, windows, and the context limit.

import { backgroundSlots, count, countOrNone, limits, ms } from '../fields.ts'
import { bounds } from '../tenants.ts'

export const shareSettings = {
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
      'Requests to models that a tenant may send within a minute; more are rejected (429). Also for a single key, in its entry or by REST. Default: no limit (docs/rate-limits.md)',
    ),
  tokens_per_minute: bounds.tokens_per_minute
    .optional()
    .describe(
      'Tokens that engines may compute for a tenant within a minute, prompts and answers; cached and restored tokens are free. More are rejected (429). Also for a single key, in its entry or by REST. Default: no limit (docs/rate-limits.md)',
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
}
