// Telling the router that a key has no session left: one attempt, bounded, and without effect on anybody else.

import { afterEach, expect, it, vi } from 'vitest'
import { silentLogger } from '../base/logger.ts'
import type { AnswerSink, Engine, OutgoingRequest } from './engine.ts'
import { FinishedSessions } from './finish-session.ts'
import { FleetOfOne } from './fleet.ts'

afterEach(() => vi.useRealTimers())

/** A router that answers only what the test tells it to. */
function aRouter(apiKey?: string) {
  const asked: { request: OutgoingRequest; sink: AnswerSink; aborted: boolean }[] = []
  const engine = {
    send: (request: OutgoingRequest, sink: AnswerSink) => {
      const call = { request, sink, aborted: false }
      asked.push(call)
      return () => {
        call.aborted = true
      }
    },
  } as unknown as Engine
  const fleet = new FleetOfOne(engine)
  const keyOf = ({ lineage }: { lineage?: string }) => lineage
  const finished = new FinishedSessions({ fleet, keyOf, apiKey: () => apiKey, log: silentLogger })
  return { asked, finished }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

it('asks once for each key, with the upstream’s own key', async () => {
  const { asked, finished } = aRouter('own')

  finished.report({ tenant: 't', lineage: 'k1' })
  await settled()

  expect(asked.map(({ request }) => request)).toEqual([
    {
      method: 'POST',
      path: '/finish_session?session_id=k1',
      headers: ['authorization', 'Bearer own'],
      body: undefined,
    },
  ])
})

it('does not repeat a call that the router refuses or does not know', async () => {
  const { asked, finished } = aRouter()

  finished.report({ tenant: 't', lineage: 'k1' })
  await settled()
  asked[0]?.sink.onHeaders(404, [], '')
  asked[0]?.sink.onEnd()
  await settled()

  expect(asked).toHaveLength(1)
})

it('has four calls in flight at most; the next begins when one ends', async () => {
  const { asked, finished } = aRouter()

  for (let i = 0; i < 6; i++) finished.report({ tenant: 't', lineage: `k${i}` })
  await settled()
  const before = asked.length
  asked[0]?.sink.onEnd()
  await settled()

  expect([before, asked.length]).toEqual([4, 5])
})

it('keeps a thousand keys waiting at most', async () => {
  const { asked, finished } = aRouter()

  for (let i = 0; i < 2_000; i++) finished.report({ tenant: 't', lineage: `k${i}` })
  await settled()
  for (let i = 0; i < asked.length; i++) {
    asked[i]?.sink.onEnd()
    await settled()
  }

  expect(asked.length).toBe(1_004)
})

it('gives up a call that is not answered within its deadline', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const { asked, finished } = aRouter()

  finished.report({ tenant: 't', lineage: 'k1' })
  await settled()
  vi.advanceTimersByTime(5_000)

  expect(asked[0]?.aborted).toBe(true)
})

it('aborts and drops everything when it is closed', async () => {
  const { asked, finished } = aRouter()

  for (let i = 0; i < 6; i++) finished.report({ tenant: 't', lineage: `k${i}` })
  await settled()
  finished.close()
  finished.report({ tenant: 't', lineage: 'late' })
  await settled()

  expect(asked.map(({ aborted }) => aborted)).toEqual([true, true, true, true])
})

it('asks nothing for work without a key', async () => {
  const { asked, finished } = aRouter()

  finished.report({ tenant: 't' })
  await settled()

  expect(asked).toEqual([])
})
