import { expect, it } from 'vitest'
import { anthropicRateHeaders, openAiRateHeaders } from './rate-headers.ts'

const quota = (resetMs: number) => ({ limit: 100, remaining: 7, resetMs })

it.each([
  [0, '0s'],
  [120, '120ms'],
  [1_000, '1s'],
  [59_250, '59.25s'],
  [60_000, '1m0s'],
  [61_000, '1m1s'],
])('OpenAI’s form of %i milliseconds is %s', (resetMs, text) => {
  expect(openAiRateHeaders({ tokens: quota(resetMs) })).toEqual({
    'x-ratelimit-limit-tokens': '100',
    'x-ratelimit-remaining-tokens': '7',
    'x-ratelimit-reset-tokens': text,
  })
})

it('Anthropic’s form has the time of the reset, never too early', () => {
  const now = Date.parse('2026-11-30T12:00:00.400Z')

  expect(anthropicRateHeaders({ requests: quota(1_000) }, now)).toEqual({
    'anthropic-ratelimit-requests-limit': '100',
    'anthropic-ratelimit-requests-remaining': '7',
    'anthropic-ratelimit-requests-reset': '2026-11-30T12:00:02Z',
  })
})

it('kinds without a limit have no headers', () => {
  expect([openAiRateHeaders({}), anthropicRateHeaders({}, 0)]).toEqual([{}, {}])
})
