import { describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { silentLogger } from '../base/logger.ts'
import { createMetrics } from '../base/metrics.ts'
import type { SessionRecord } from '../base/records.ts'
import { LiveSession } from '../sessions/live-session.ts'
import { AutoThaw } from './auto-thaw.ts'
import type { Windows } from './windows.ts'

const record: SessionRecord = {
  tenant: 't',
  id: 's',
  named: true,
  lineage: 'lineage',
  head: 0,
  spaces: [],
  createdAt: 0,
  lastTurnAt: 1_000,
  turns: 1,
  auto: { count: 1, window: 'auto.0.1', at: 1_000 },
}
const rollover = { cut: 'c', window: 'auto.0.1', messages: 4, at: 1_000 }
type Change = Parameters<LiveSession['change']>[0]
function sessionOf(change: Change = {}): LiveSession {
  const session = new LiveSession(record, { stored: true })
  session.change(change)
  return session
}
const nobody = { apiKey: undefined }

/** Records prefetches and completes them when `end` is called. */
function setUp({ afterMs = 500, at = 2_000 } = {}) {
  const asked: string[] = []
  const { promise, resolve, reject } = withResolvers()
  const sessions = new Set<string | undefined>()
  const prefetch: Windows['prefetch'] = async (_, name, __, returning) => {
    asked.push(name)
    sessions.add(returning?.sessionId)
    await promise
    return { foundChunks: 1, totalChunks: 1, warnings: [], ms: 1 }
  }
  const metrics = createMetrics()
  const thaw = new AutoThaw({
    windows: { prefetch },
    metrics,
    log: silentLogger,
    now: () => at,
    afterMs,
    waitMs: 1_000,
  })
  return { thaw, asked, sessions, end: resolve, fail: reject }
}

function withResolvers() {
  let resolve = () => {}
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<void>((done, failed) => {
    resolve = done
    reject = failed
  })
  return { promise, resolve, reject }
}

describe('a returning session', () => {
  it('waits for one prefetch of its newest window, shared by all requests of that return', async () => {
    const { thaw, asked, end } = setUp()
    const session = sessionOf()
    let over = 0

    const first = thaw.onReturn(session, nobody)?.then(() => over++)
    const second = thaw.onReturn(session, nobody)?.then(() => over++)
    await new Promise((resolve) => setImmediate(resolve))
    const before = over
    end()
    await Promise.all([first, second])

    expect([asked, before, over]).toEqual([['auto.0.1'], 0, 2])
  })

  it('says for whom it is prefetched: another engine may be its own than that of the session that was frozen', async () => {
    const { thaw, sessions, end } = setUp()
    end()

    await thaw.onReturn(sessionOf({ auto: undefined, baseWindow: 'base' }), nobody)

    expect([...sessions]).toEqual(['s'])
  })

  it('triggers another prefetch after another idle period', async () => {
    const { thaw, asked, end } = setUp()
    const session = sessionOf()
    end()
    await thaw.onReturn(session, nobody)
    session.change({ lastTurnAt: 1_200 })

    await thaw.onReturn(session, nobody)

    expect(asked).toHaveLength(2)
  })

  it('proceeds without a window that could not be prefetched', async () => {
    const { thaw, fail } = setUp()

    const returned = thaw.onReturn(sessionOf(), nobody)
    fail(new CwmError('LMCACHE_UNREACHABLE', 'away'))

    await expect(returned).resolves.toBeUndefined()
  })

  it.each<[string, Change, string[]]>([
    ['its base window if nothing was frozen since the thaw', { auto: undefined, baseWindow: 'base' }, ['base']],
    ['nothing if it was never frozen', { auto: undefined }, []],
    ['nothing while its prompts are cut', { rollover }, []],
    ['what was frozen since the cut', { rollover, auto: { count: 2, window: 'auto.0.2', at: 1_500 } }, ['auto.0.2']],
    ['nothing if it was not idle long enough', { lastTurnAt: 1_900 }, []],
  ])('prefetches %s', async (_, change, expected) => {
    const { thaw, asked, end } = setUp()
    end()

    await thaw.onReturn(sessionOf(change), nobody)

    expect(asked).toEqual(expected)
  })

  it('prefetches nothing if the idle time is 0', async () => {
    const { thaw, asked } = setUp({ afterMs: 0 })

    await thaw.onReturn(sessionOf(), nobody)

    expect(asked).toEqual([])
  })
})
