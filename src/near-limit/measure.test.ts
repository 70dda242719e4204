// What it means if the engine refuses to count: either it will reject the turn too, or the size stays unknown and the turn must fail.

import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../base/json.ts'
import { createMetrics, type Metrics } from '../base/metrics.ts'
import { chatRules } from '../dialects/chat.ts'
import { rejectionOf } from '../engines/json.ts'
import { KnownSizes } from './known-sizes.ts'
import { measure } from './measure.ts'
import { outgoingOf } from './outgoing.ts'

/** Measures a prompt that exceeds every estimate, with an engine that refuses to count it. */
async function measured(status: number, metrics: Metrics): Promise<unknown> {
  const refuse = () => Promise.reject(rejectionOf('/tokenize', { status, body: {} }))
  const engine = { countTokens: refuse, countText: refuse }
  const parts = { sizes: new KnownSizes(1024), metrics }
  const json: JsonObject = { model: 'm', messages: [{ role: 'user', content: 'How deep is the harbour?' }] }
  const outgoing = outgoingOf(json, chatRules, undefined, undefined)
  const call = { apiKey: undefined }
  const request = { rules: chatRules, json, outgoing, engine, chain: undefined, windowTokens: 0, call }
  return await measure(parts, request, 'shape', 10)
}

const checksBy = async (metrics: Metrics, by: string) =>
  new RegExp(`cwm_size_checks_total\\{by="${by}"\\} 1$`, 'm').test(await metrics.text())

describe('an engine that refuses to count', () => {
  it.each([400, 403, 404, 405, 422, 501])(
    'with %d will reject the turn too: the turn is dispatched, and the check is counted',
    async (status) => {
      const metrics = createMetrics()

      expect(await measured(status, metrics)).toEqual({ fits: true })
      expect(await checksBy(metrics, 'nobody')).toBe(true)
    },
  )

  it.each([401, 408, 429, 500, 502, 503])(
    'with %d leaves the size unknown: the turn fails, and the check is counted',
    async (status) => {
      const metrics = createMetrics()

      await expect(measured(status, metrics)).rejects.toMatchObject({ code: 'UPSTREAM_REJECTED', refusedWith: status })
      expect(await checksBy(metrics, 'failed')).toBe(true)
    },
  )
})
