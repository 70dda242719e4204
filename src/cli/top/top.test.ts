// What `cwm top` computes and draws.

import { describe, expect, it } from 'vitest'
import type { SessionJson } from '../../wire/sessions.ts'
import type { UsageLineJson } from '../../wire/usage.ts'
import { Rest } from '../client/rest.ts'
import type { Screen } from '../terminal/screen.ts'
import { widthOf } from '../terminal/text.ts'
import { formatFrame, formatLines } from './frame.ts'
import { keysOf } from './full-screen.ts'
import { quantile, type Snapshot, SnapshotReader, sumOfMetric } from './snapshot.ts'
import { afterKey, firstView, selectSessions, type View } from './view.ts'

const line = (buckets: readonly (readonly [number | null, number])[]) => ({
  first_token: { count: 0, mean_ms: null, buckets: buckets.map(([le_ms, count]) => ({ le_ms, count })) },
})

describe('a quantile', () => {
  it('lies within its bucket, over all lines', () => {
    const lines = [
      line([
        [100, 8],
        [200, 0],
        [null, 0],
      ]),
      line([
        [100, 0],
        [200, 2],
        [null, 0],
      ]),
    ]

    expect(quantile(lines, 0.5)).toBe(62.5)
    expect(quantile(lines, 0.95)).toBe(175)
  })

  it('is the lower bound of the last bucket, and null without requests', () => {
    expect(
      quantile(
        [
          line([
            [100, 0],
            [null, 3],
          ]),
        ],
        0.5,
      ),
    ).toBe(100)
    expect(
      quantile(
        [
          line([
            [100, 0],
            [null, 0],
          ]),
        ],
        0.5,
      ),
    ).toBeNull()
  })
})

it('sums a metric over its labels, and no other whose name begins alike', () => {
  const text = '# HELP cwm_queued x\ncwm_queued{model="a b"} 2\ncwm_queued{model="c"} 1.5\ncwm_queued_seconds 9\n'

  expect(sumOfMetric(text, 'cwm_queued')).toBe(3.5)
})

it('computes tokens a second between readings, although minutes leave the span', async () => {
  let now = Date.UTC(2026, 0, 1)
  let minutes: Record<string, number> = { '00:00': 300 }
  const rest = new Rest('http://cwm', {})
  rest.json = async <T>(path: string) =>
    (path === '/cwm/v1/usage'
      ? {
          data: Object.entries(minutes).map(([at, tokens]) => ({
            at,
            completion_tokens: tokens,
            ...line([]),
          })) as unknown as UsageLineJson[],
        }
      : { data: [] }) as T
  rest.send = async (path) =>
    new Response(path === '/cwm/v1/health' ? '{"status":"ok","version":"1","upstream":{},"engines":[]}' : '')
  const reader = new SnapshotReader(rest, () => now)
  const rate = async () => (await reader.read(new AbortController().signal)).usage.tokens_per_second

  expect(await rate()).toBe(1)
  now += 2_000
  minutes = { '00:00': 340, '00:01': 10 }
  expect(await rate()).toBe(25)
  now += 2_000
  minutes = { '00:01': 30 }
  expect(await rate()).toBe(7.5)
})

const session = (id: string, total: number, change: Partial<SessionJson> = {}): SessionJson =>
  ({
    id,
    turns: 1,
    model: 'small',
    last_turn_at: '2026-01-01T00:00:00.000Z',
    usage: { prompt_tokens: 100, completion_tokens: 1, total_tokens: total, cached_tokens: 50 },
    limit: 1_000,
    ...change,
  }) as SessionJson

describe('the view', () => {
  const pressed = (keys: string): View | undefined =>
    keysOf(keys).reduce<View | undefined>((view, key) => view && afterKey(view, key, 10), firstView)

  it.each<[string, string, Partial<View>]>([
    ['arrows choose the order', '\u001b[C\u001b[C', { sort: 'used' }],
    ['around the end', '\u001b[D', { sort: 'name' }],
    ['r reverses it', 'r', { reversed: true }],
    ['a filter is typed, corrected, and kept', '/anx\u007f\rr', { filter: 'an', isTyping: false, reversed: true }],
    ['q is a letter in a filter', '/q', { filter: 'q', isTyping: true }],
    ['Esc clears the filter', '/an\r\u001b', { filter: '' }],
    ['the top is the end of scrolling up', '\u001b[B\u001b[A\u001b[A', { offset: 0 }],
    ['pages', '\u001b[6~\u001b[6~\u001b[5~', { offset: 10 }],
    ['unknown keys do nothing', '\u001b[15~x', {}],
  ])('%s', (_, keys, wanted) => {
    expect(pressed(keys)).toEqual({ ...firstView, ...wanted })
  })

  it('ends with q', () => {
    expect(pressed('q')).toBeUndefined()
  })

  it('sorts the fullest first, unknown ones last, and filters by id, model and window', () => {
    const all = [session('ann', 100), session('bob', 900), { ...session('eve', 0), limit: undefined } as SessionJson]
    const ids = (view: Partial<View>) => selectSessions(all, { ...firstView, ...view }).map(({ id }) => id)

    expect(ids({ sort: 'full' })).toEqual(['bob', 'ann', 'eve'])
    expect(ids({ sort: 'full', reversed: true })).toEqual(['eve', 'ann', 'bob'])
    expect(ids({ sort: 'name', filter: 'B' })).toEqual(['bob'])
    expect(ids({ filter: 'small' })).toHaveLength(3)
  })
})

describe('the frame', () => {
  const snapshot = (change: Partial<Snapshot> = {}): Snapshot => ({
    at: '2026-01-01T00:00:10.000Z',
    url: 'http://127.0.0.1:8787',
    health: { version: '0.1.0', status: 'ok', upstream: { ok: true } } as Snapshot['health'],
    engines: Array.from({ length: 9 }, (_, n) => ({
      id: `http://engine-${n}:8000`,
      state: 'up',
      breaker: 'closed',
      in_flight: n,
    })),
    sessions: Array.from({ length: 50 }, (_, n) => session(`会議-${n}-${'x'.repeat(n)}`, n * 20)),
    sessions_total: 50,
    requests_in_flight: 3,
    requests_queued: 1,
    usage: {
      requests: 10,
      errors: 0,
      prompt_tokens: 100,
      cached_tokens: 50,
      completion_tokens: 10,
      longest_queue_ms: 0,
      tokens_per_second: 12.4,
      first_token_p50_ms: 80,
      first_token_p95_ms: null,
    },
    ...change,
  })
  const screen = (columns: number): Screen => ({
    isTerminal: true,
    isInteractive: true,
    columns,
    now: () => Date.UTC(2026, 0, 1, 0, 1),
    print: () => {},
    printError: () => {},
    style: (_, text) => text,
  })

  it.each([
    [200, 60],
    [80, 24],
    [40, 24],
    [20, 10],
    [10, 5],
  ])('fits %i columns and %i rows', (columns, rows) => {
    const lines = formatFrame(screen(columns), snapshot(), { view: firstView, rows, failure: 'not current: away' })

    expect(lines.length).toBeLessThanOrEqual(rows)
    expect(Math.max(...lines.map(widthOf))).toBeLessThanOrEqual(columns)
  })

  it('shows the cached part of a gauge full, the rest of it shaded', () => {
    const one = session('ann', 500, {
      usage: { prompt_tokens: 450, completion_tokens: 50, total_tokens: 500, cached_tokens: 300 },
    })
    const lines = formatFrame(screen(120), snapshot({ sessions: [one] }), { view: firstView })

    expect(lines.at(-1)).toMatch(/^ann +███▒▒····· +50% +500 +1,000 +66% /)
  })

  it('scrolls no further than the last session', () => {
    const lines = formatFrame(screen(100), snapshot(), { view: { ...firstView, offset: 999 }, rows: 30 })

    expect(lines.at(-1)).toMatch(/–50 of 50 /)
  })

  it('has numbers of at most one decimal for programs', () => {
    const { usage } = snapshot()
    const [proxy] = formatLines(snapshot({ usage: { ...usage, first_token_p50_ms: 44.49999999999999 } }))

    expect(proxy?.split('\t')).toContain('44.5')
  })

  it('says where sessions are for the operator', () => {
    expect(formatFrame(screen(100), snapshot({ sessions: null }), { view: firstView, rows: 30 }).join('\n')).toContain(
      'cwm top --tenant ID',
    )
  })
})
