// The headers that tell clients what is left of their rate limits, as OpenAI's API and Anthropic's name them.

import type { RateQuotas } from '../base/rates.ts'

const kinds = ['requests', 'tokens'] as const

/** All names of such headers, as an HTTP list: what pages may read of cwm's own answers. */
export const rateHeaderNames = kinds
  .flatMap((kind) => [
    ...['limit', 'remaining', 'reset'].map((what) => `x-ratelimit-${what}-${kind}`),
    ...['limit', 'remaining', 'reset'].map((what) => `anthropic-ratelimit-${kind}-${what}`),
  ])
  .join(', ')

type Headers = Readonly<Record<string, string>>

/** https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers */
export function openAiRateHeaders(quotas: RateQuotas): Headers {
  const headers: Record<string, string> = {}
  for (const kind of kinds) {
    const quota = quotas[kind]
    if (quota === undefined) continue
    headers[`x-ratelimit-limit-${kind}`] = String(quota.limit)
    headers[`x-ratelimit-remaining-${kind}`] = String(quota.remaining)
    headers[`x-ratelimit-reset-${kind}`] = durationText(quota.resetMs)
  }
  return headers
}

/** https://docs.anthropic.com/en/api/rate-limits#response-headers */
export function anthropicRateHeaders(quotas: RateQuotas, now: number): Headers {
  const headers: Record<string, string> = {}
  for (const kind of kinds) {
    const quota = quotas[kind]
    if (quota === undefined) continue
    headers[`anthropic-ratelimit-${kind}-limit`] = String(quota.limit)
    headers[`anthropic-ratelimit-${kind}-remaining`] = String(quota.remaining)
    // Whole seconds, as Anthropic's, and never too early.
    const reset = Math.ceil((now + quota.resetMs) / 1000) * 1000
    headers[`anthropic-ratelimit-${kind}-reset`] = new Date(reset).toISOString().replace('.000Z', 'Z')
  }
  return headers
}

/** As OpenAI writes them: `120ms`, `59.25s`, `1m1s`. */
function durationText(ms: number): string {
  if (ms > 0 && ms < 1000) return `${ms}ms`
  const minutes = Math.floor(ms / 60_000)
  const seconds = (ms % 60_000) / 1000
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds}s`
}
