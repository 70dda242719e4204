import { expect, it } from 'vitest'
import type { CwmEvent } from '../base/events.ts'
import { silentLogger } from '../base/logger.ts'
import { createMetrics } from '../base/metrics.ts'
import { LiveSession } from '../sessions/live-session.ts'
import { type CutFreezeParts, CutFreezer } from './cut-freeze.ts'

// The base window may already hold everything that is cut. Then nothing is frozen, and the freeze that was due for the larger context is not.
it('reports a cut that needs no window of its own, and re-arms the automatic freeze', () => {
  const session = new LiveSession(
    {
      tenant: 't',
      id: 's',
      named: true,
      lineage: 'l',
      head: 0,
      spaces: [],
      createdAt: 1,
      lastTurnAt: 1,
      turns: 1,
      auto: { count: 3, window: 'auto.0.3', at: 1, nextAtTokens: 900 },
    },
    { stored: true },
  )
  const events: Omit<CwmEvent, 'at'>[] = []
  const freezer = new CutFreezer({
    events: { emit: (event: Omit<CwmEvent, 'at'>) => void events.push(event) },
    metrics: createMetrics(),
    log: silentLogger,
    now: () => 7,
  } as unknown as CutFreezeParts)

  freezer.recordRollover(session, { digest: 'd', dropped: [1, 2] }, 'book')

  expect(session.record.rollover).toEqual({ cut: 'd', window: 'book', messages: 2, at: 7 })
  expect(session.record.auto).toEqual({ count: 3, window: 'auto.0.3', at: 1 })
  expect(events.map(({ kind, window }) => [kind, window])).toEqual([['rolled_over', 'book']])
})
