// The guard around `send`: which requests are refused, what the breaker learns, and that finished requests are released.

import { beforeEach, describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { Breaker } from './breaker.ts'
import type { AnswerSink, OutgoingRequest } from './engine.ts'
import { GuardedUpstream } from './guarded-upstream.ts'
import type { Upstream } from './upstream.ts'

const request: OutgoingRequest = { method: 'GET', path: '/', headers: [], body: undefined }
const refused = new CwmError('UPSTREAM_REFUSED', 'nobody there')
const stopped = new CwmError('SHUTTING_DOWN', 'stopped')

let sent: AnswerSink[]
let guarded: GuardedUpstream
let heard: string[]

beforeEach(() => {
  sent = []
  heard = []
  const send = (_: OutgoingRequest, sink: AnswerSink) => {
    sent.push(sink)
    return (reason?: CwmError) => sink.onError(reason ?? new CwmError('CLIENT_GONE', 'left'))
  }
  const upstream = { origin: 'http://engine', url: 'http://engine', send } as unknown as Upstream
  guarded = new GuardedUpstream(upstream, new Breaker({ failures: 1, openMs: 1_500, now: () => 0, onChange: () => {} }))
})

const sink: AnswerSink = {
  onStart: () => {},
  onHeaders: (status) => heard.push(String(status)),
  onData: () => {},
  onEnd: () => heard.push('end'),
  onError: ({ code }) => heard.push(code),
}

describe('the guarded upstream', () => {
  it('releases finished requests, however they ended', () => {
    for (let n = 0; n < 3; n++) guarded.send(request, sink)
    sent[0]?.onHeaders(200, [], 'OK')
    sent[0]?.onEnd()
    sent[1]?.onError(new CwmError('UPSTREAM_TIMEOUT', 'late'))
    guarded.send(request, sink)()

    expect(guarded.end(stopped)).toBe(1)
    expect(heard).toEqual(['200', 'end', 'UPSTREAM_TIMEOUT', 'CLIENT_GONE', 'SHUTTING_DOWN'])
  })

  it('sends nothing once it has ended', () => {
    guarded.end(stopped)

    guarded.send(request, sink)
    guarded.health.send(request, sink)

    expect([heard, sent]).toEqual([['SHUTTING_DOWN', 'SHUTTING_DOWN'], []])
  })

  it('refuses while the breaker is open, and reports for how long', () => {
    guarded.send(request, sink)
    sent[0]?.onError(refused)
    let error: CwmError | undefined

    guarded.send(request, {
      ...sink,
      onError: (thrown) => {
        error = thrown
      },
    })

    expect([error?.code, error?.retryAfterS, sent.length]).toEqual(['UPSTREAM_OPEN', 2, 1])
  })

  it('checks the health while the breaker is open, and the answer closes it', () => {
    guarded.send(request, sink)
    sent[0]?.onError(refused)
    expect(guarded.breaker).toBe('open')

    guarded.health.send(request, sink)
    sent[1]?.onHeaders(401, [], '')

    expect(guarded.breaker).toBe('closed')
  })

  it('counts the requests in flight, without health checks', () => {
    guarded.send(request, sink)
    guarded.send(request, sink)
    guarded.health.send(request, sink)
    expect(guarded.inFlight).toBe(2)

    sent[0]?.onEnd()
    sent[2]?.onError(refused)

    expect(guarded.inFlight).toBe(1)
  })
})
