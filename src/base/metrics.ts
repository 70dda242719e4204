// The metrics, in Prometheus' text format. Labels have few values: never a session, window, tenant or salt.

import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { engineMetrics } from './metrics-engines.ts'
import { addProcessMetrics } from './metrics-of-process.ts'
import { PlainCounter, plainMetrics, secondsBuckets } from './metrics-plain.ts'
import { modelLabeler } from './model-label.ts'
import type { TenantUsage } from './records.ts'

export type Metrics = ReturnType<typeof createMetrics>

/**
 * One registry per running cwm. Nothing is global, so two in one process do not interfere.
 * @param isServed Whether the engine lists that model. Only then its name becomes a label.
 */
export function createMetrics(isServed: (model: string) => boolean = () => false) {
  const registry = new Registry()
  addProcessMetrics(registry)
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter<L>({ name, help, labelNames, registers })
  const histogram = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Histogram<L>({ name, help, labelNames, buckets: [...secondsBuckets], registers })
  // Updated by every request, so plain numbers.
  const plain = plainMetrics(registry)
  /** A gauge that is read on a scrape and costs nothing otherwise. */
  const watch = (name: string, help: string, read: () => number): void => {
    new Gauge({
      ...{ name, help, registers },
      collect() {
        this.set(read())
      },
    })
  }
  /** Gauges of the store's contents. Without an answer they have no value, because 0 would be one. */
  const watchUsage = (read: () => Promise<TenantUsage | undefined>): void => {
    const gauge = (name: string, help: string, field: keyof TenantUsage) =>
      new Gauge({
        ...{ name, help, registers },
        async collect() {
          const usage = await read()
          if (usage === undefined) this.remove()
          else this.set(usage[field])
        },
      })
    gauge('cwm_sessions', 'Sessions in the store, of all tenants', 'sessions')
    gauge('cwm_windows', 'Windows in the store, of all tenants', 'windows')
    gauge('cwm_pinned_tokens', 'Tokens that windows in the store keep pinned, of all tenants', 'pinnedTokens')
  }
  const build = new Gauge({
    name: 'cwm_build_info',
    help: 'Always 1; its labels are the version of cwm and of Node',
    labelNames: ['version', 'node'],
    registers,
  })
  const inFlight = new PlainCounter()
  watch('cwm_requests_in_flight', 'Requests being answered', () => inFlight.value)
  return {
    text: () => registry.metrics(),
    contentType: registry.contentType,
    watch,
    watchUsage,
    /** The label `model`; empty, which means none, if the client named no model. */
    modelLabel: modelLabeler(isServed),
    build,
    inFlight,
    requests: plain.counters('cwm_requests_total', 'Requests by route, status and model', 'route', 'status', 'model'),
    requestSeconds: plain.histogram(
      'cwm_request_seconds',
      'Time from the headers of a request to the end of its answer',
      'route',
      'model',
    ),
    ttft: plain.histogram(
      'cwm_ttft_seconds',
      "Time from dispatch to the first byte of the answer's body (of a stream, its first event)",
      'route',
      'model',
    ),
    refused: counter('cwm_refused_requests_total', 'Requests rejected because of load, by error code and reason', [
      'code',
      'reason',
    ]),
    rateLimited: counter(
      'cwm_rate_limited_total',
      'Requests rejected by a rate limit, by what was used up (requests, tokens, or size: the request alone exceeds the limit) and whose limit it was (tenant, key)',
      ['limit', 'of'],
    ),
    rateFallbacks: counter(
      'cwm_rate_limit_fallbacks_total',
      'Requests whose rate limit this proxy checked alone, because the shared store did not answer',
    ),
    refusedBodies: counter(
      'cwm_refused_total',
      'Requests rejected because of the cost of their bodies, by exceeded limit',
      ['bound'],
    ),
    backgroundRefused: counter(
      'cwm_background_refused_total',
      'Background work that got no slot, by kind and reason. Deletes and repairs are tried again, automatic freezes are skipped, and requested ones are rejected',
      ['kind', 'reason'],
    ),
    queueSeconds: histogram('cwm_queue_seconds', 'Time that queued requests waited for a slot'),
    upstreamErrors: counter(
      'cwm_upstream_errors_total',
      'Requests that failed because of the upstream, by error code',
      ['code'],
    ),
    upstreamRetries: counter(
      'cwm_upstream_retries_total',
      'Requests retried because none of their bytes had been sent, by cause: refused, reset',
      ['cause'],
    ),
    /** By engine. */
    engines: engineMetrics(registry),
    engineLookups: counter('cwm_engine_lookups_total', 'DNS lookups of engines, by outcome: ok, failed', ['outcome']),
    clientGone: plain.counter('cwm_client_gone_total', 'Requests whose client disconnected before the end'),
    stalledClients: plain.counter('cwm_stalled_clients_total', 'Clients disconnected because they did not read'),
    sessions: plain.counters('cwm_sessions_total', 'Turns by how their session was found', 'found'),
    degradedTurns: counter('cwm_degraded_turns_total', 'Turns sent cold because the store did not answer'),
    promptTokens: plain.counters('cwm_prompt_tokens_total', 'Prompt tokens of finished turns', 'model'),
    cachedTokens: plain.counters(
      'cwm_cached_tokens_total',
      'Prompt tokens that the engine reported as cached',
      'model',
    ),
    completionTokens: plain.counters('cwm_completion_tokens_total', 'Completion tokens of finished turns', 'model'),
    unobserved: plain.counter('cwm_unobserved_answers_total', 'Answers whose usage and reply could not be read'),
    freezes: counter('cwm_freezes_total', 'Freezes by outcome: a durability, or failed', ['outcome']),
    freezeSeconds: histogram('cwm_freeze_seconds', 'Duration of a freeze'),
    thaws: counter('cwm_thaws_total', 'Thaws by outcome', ['outcome']),
    thawSeconds: histogram('cwm_thaw_seconds', 'Duration of a thaw'),
    restoredTokens: counter('cwm_restored_tokens_total', 'Tokens that thaws restored, as reported by their warm calls'),
    recomputedTokens: counter('cwm_recomputed_tokens_total', 'Tokens that thaws recomputed'),
    asks: counter('cwm_asks_total', 'Questions to windows that were answered'),
    askRestoredTokens: counter(
      'cwm_ask_restored_tokens_total',
      'Prompt tokens of answered questions that were cached, as reported by the engine',
    ),
    askComputedTokens: counter(
      'cwm_ask_computed_tokens_total',
      'Prompt tokens of answered questions that were computed',
    ),
    passageWindows: counter('cwm_passage_windows_total', 'Windows whose text was added to the passage index'),
    manyAsks: counter('cwm_many_asks_total', 'Questions to many windows, by outcome: ok, or an error code', [
      'outcome',
    ]),
    manyAskWindows: counter(
      'cwm_many_ask_windows_total',
      'Windows of questions to many, by outcome: answered, not_found, failed',
      ['outcome'],
    ),
    askReductions: counter(
      'cwm_ask_reductions_total',
      'Reductions of the answers of many windows, by outcome: ok, or an error code',
      ['outcome'],
    ),
    askReductionTokens: counter('cwm_ask_reduction_prompt_tokens_total', 'Prompt tokens of reductions'),
    truncations: counter('cwm_truncated_answers_total', 'Answers cut by the context limit', ['dialect']),
    sizeChecks: plain.counters(
      'cwm_size_checks_total',
      'Size checks of turns before dispatch, by method: estimate, tokenize, nobody (the engine cannot count, so the turn is sent unmeasured), failed',
      'by',
    ),
    overflows: counter('cwm_overflows_total', 'Turns that exceeded the context, by policy: reject, rollover', [
      'policy',
    ]),
    rollovers: counter('cwm_rollovers_total', 'New cuts of a context'),
    autoFreezes: counter(
      'cwm_auto_freezes_total',
      'Automatic freezes by outcome: a durability, failed, refused (rejected by a limit), or skipped (too many were waiting)',
      ['outcome'],
    ),
    autoThaws: counter('cwm_auto_thaws_total', 'Prefetches started for returning sessions'),
    prefixBreaks: counter('cwm_prefix_breaks_total', 'Unexpectedly cold turns, by cause', ['cause']),
    thawChecks: counter(
      'cwm_thaw_checks_total',
      'First turns after a thaw, by outcome: kept (what the thaw warmed was cached), or why it was not: moved, evicted, unknown',
      ['outcome'],
    ),
    eventErrors: counter('cwm_event_errors_total', 'Events that could not be stored'),
    pinsReleased: counter('cwm_pins_released_total', 'Pins released, by reason: budget, expired, asked', ['why']),
    deletions: counter('cwm_deletions_total', 'Deletes by outcome: clean, residue, unproved', ['outcome']),
    deletedChunks: counter('cwm_deleted_chunks_total', 'Chunks that deletes removed'),
    deletionsOpen: new Gauge({
      name: 'cwm_deletions_open',
      help: 'Deletes that are incomplete or unverified, and are retried',
      registers,
    }),
    sessionsEnded: counter('cwm_sessions_ended_total', 'Sessions ended, by reason: asked, idle, erased', ['why']),
    auditErrors: counter('cwm_audit_errors_total', 'Audit entries that could not be stored'),
    ledgerLost: counter(
      'cwm_ledger_lost_requests_total',
      'Requests missing from the ledger, because the store was unavailable for too long',
    ),
    repairs: counter('cwm_repairs_total', 'Repairs by the reconciler, by kind', ['kind']),
    repairsLeft: new Gauge({
      name: 'cwm_repairs_left',
      help: 'Windows that the last run of the reconciler could not check',
      registers,
    }),
    reloads: counter('cwm_reloads_total', 'Reloads of the settings, by outcome: ok, failed', ['outcome']),
    settingsReadAt: new Gauge({
      name: 'cwm_settings_read_timestamp_seconds',
      help: 'When the settings in force were read: at the start, or at the last successful reload',
      registers,
    }),
    keepAwakes: counter(
      'cwm_keep_awake_calls_total',
      'Requests that keep idle engines registered with LMCache, by outcome: done, failed, skipped (no LMCache server lists the engine)',
      ['outcome'],
    ),
    traceSpans: plain.counters(
      'cwm_trace_spans_total',
      'Spans of traced requests by outcome: sent, failed (the collector did not accept them), dropped (too many were waiting)',
      'outcome',
    ),
    storeErrors: counter('cwm_store_errors_total', 'Failures of the store outside requests'),
  }
}
