// MCP tools for sessions, cache statistics, health, and automatic freezing.

import { z } from 'zod'
import { overflowPolicies } from '../base/tenants.ts'
import type { HealthJson } from '../wire/health.ts'
import type { PageJson } from '../wire/lists.ts'
import type { SessionJson } from '../wire/sessions.ts'
import type { NearLimitBody, NearLimitJson, TenantJson } from '../wire/tenants.ts'
import { additive, readOnly, type Tool, ToolError, tool } from './tool.ts'

const LIST_LIMIT = 20
/** Number of sessions whose last turns count in the statistics. */
const COUNTED = 100
const NEAR_LIMIT = '/cwm/v1/tenants/me/near-limit'

export const cacheTools: readonly Tool[] = [
  tool({
    name: 'session_list',
    description: 'List sessions and how full each context is',
    input: z.strictObject({ limit: z.int().min(1).max(100).optional(), cursor: z.string().optional() }),
    annotations: readOnly,
    run: async ({ limit = LIST_LIMIT, cursor }, call) => {
      const query = new URLSearchParams({ limit: String(limit), ...(cursor === undefined ? {} : { cursor }) })
      const { data, next_cursor } = await call.ask<PageJson<SessionJson>>('GET', `/cwm/v1/sessions?${query}`)
      return { sessions: data.map(summarize), ...(next_cursor === undefined ? {} : { next_cursor }) }
    },
  }),
  tool({
    name: 'cache_stats',
    description: 'Show your usage, and what share of the last prompts was cached',
    input: z.strictObject({}),
    annotations: readOnly,
    run: async (_, call) => {
      const [tenant, { data }] = await Promise.all([
        call.ask<TenantJson>('GET', '/cwm/v1/tenants/me'),
        call.ask<PageJson<SessionJson>>('GET', `/cwm/v1/sessions?limit=${COUNTED}`),
      ])
      const reported = data.flatMap(({ usage }) => (usage === undefined || usage.cached_tokens === null ? [] : [usage]))
      const prompts = reported.reduce((sum, { prompt_tokens }) => sum + prompt_tokens, 0)
      const cached = reported.reduce((sum, { cached_tokens }) => sum + (cached_tokens ?? 0), 0)
      return {
        ...tenant.usage,
        limits: tenant.limits,
        last_turns: {
          sessions: reported.length,
          prompt_tokens: prompts,
          cached_tokens: cached,
          cached_share: prompts === 0 ? null : Math.round((1_000 * cached) / prompts) / 1_000,
        },
      }
    },
  }),
  tool({
    name: 'health_check',
    description: 'Show whether engine, LMCache, and store are healthy',
    input: z.strictObject({}),
    annotations: readOnly,
    run: async (_, call) => await call.ask<HealthJson>('GET', '/cwm/v1/health'),
  }),
  tool({
    name: 'auto_freeze_config',
    description: 'Show or change what happens near the context limit',
    input: z.strictObject({
      enabled: z.boolean().optional(),
      freeze_at: z.number().min(0).max(1).optional().describe('Share of the limit'),
      overflow: z.enum(overflowPolicies).optional(),
    }),
    annotations: { ...additive, idempotentHint: true },
    run: async ({ enabled, freeze_at, overflow }, call) => {
      const now = await call.ask<NearLimitJson>('GET', NEAR_LIMIT)
      if (enabled === undefined && freeze_at === undefined && overflow === undefined) return now
      if (enabled !== undefined && freeze_at !== undefined && enabled !== freeze_at > 0) {
        throw new ToolError(`enabled: ${enabled} and freeze_at: ${freeze_at} contradict each other`)
      }
      // Enabled without a share: the operator's value applies.
      const { freeze_at: before, ...rest } = now.chosen
      const kept = enabled === true && before === 0 ? undefined : before
      const share = enabled === false ? 0 : (freeze_at ?? kept)
      const body: NearLimitBody = {
        ...rest,
        ...(share === undefined ? {} : { freeze_at: share }),
        ...(overflow === undefined ? {} : { overflow }),
      }
      const then = await call.ask<NearLimitJson>('PUT', NEAR_LIMIT, body)
      if (enabled === true && then.freeze_at === 0) {
        throw new ToolError(
          'the operator has disabled automatic freezing, so there is no default: give freeze_at, for example 0.75',
        )
      }
      return then
    },
  }),
]

function summarize({ id, model, turns, last_turn_at, base_window, limit, usage }: SessionJson) {
  return {
    id,
    turns,
    last_turn_at,
    ...(model === undefined ? {} : { model }),
    ...(base_window === undefined ? {} : { window: base_window }),
    ...(usage === undefined ? {} : { used: usage.total_tokens, cached: usage.cached_tokens }),
    ...(limit === undefined ? {} : { limit }),
  }
}
