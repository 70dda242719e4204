import { expect, it } from 'vitest'
import type { CwmEvent } from '../base/events.ts'
import { silentLogger } from '../base/logger.ts'
import { createMetrics } from '../base/metrics.ts'
import { LiveSession } from '../sessions/live-session.ts'
import { type CutFreezeParts, CutFreezer } from './cut-freeze.ts'

// Its base window may hold all that is cut: then nothing is frozen, and what was due by the larger context is no longer.
it('a cut that needs no window of its own is told, and the next automatic freeze is due when the context has filled again', () => {
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
