// When a request is retried: only if none of its bytes were sent. Any other request may have started compute.

import { afterEach, describe, expect, it } from 'vitest'
import { collectGarbage } from '../../test/support/collect-garbage.ts'
import { until, within } from '../../test/support/deadline.ts'
import { answer, freePort, type RawUpstream, startRawUpstream } from '../../test/support/raw-upstream.ts'
import type { CwmError } from '../base/errors.ts'
import type { OutgoingRequest } from './engine.ts'
import type { RetryCause } from './failures.ts'
import { Upstream } from './upstream.ts'

let server: RawUpstream | undefined
let upstream: Upstream

afterEach(async () => {
  await upstream.close()
  await server?.close()
  server = undefined
})

function connectTo(url: string, onRetry: (cause: RetryCause) => void = () => {}, connections = 1): void {
  const patience = { connectTimeoutMs: 5_000, headersTimeoutMs: 5_000, bodyTimeoutMs: 0 }
  upstream = new Upstream({ url, connections, ...patience, onRetry })
}

const post = (body: string): OutgoingRequest => ({
  method: 'POST',
  path: '/v1/chat/completions',
  headers: ['content-length', String(body.length)],
  body: Buffer.from(body),
})

/** The outcome of a request: its status and body, or the code of the error. */
function send(request: OutgoingRequest): { readonly outcome: Promise<string>; readonly abort: () => void } {
  let abort = () => {}
  const outcome = new Promise<string>((resolve) => {
    let text = ''
    abort = upstream.send(request, {
      onStart: () => {},
      onHeaders: (status) => {
        text = `${status} `
      },
      onData: (bytes) => {
        text += bytes.toString()
      },
      onEnd: () => resolve(text),
      onError: (error: CwmError) => resolve(error.code),
    })
  })
  return { outcome: within('an answer, or an error', outcome), abort }
}

describe('a refused connection', () => {
  it('is retried once, and the request reaches the new listener', async () => {
    const port = await freePort()
    const retries: RetryCause[] = []
    let started: Promise<RawUpstream> | undefined
    connectTo(`http://127.0.0.1:${port}`, (cause) => {
      retries.push(cause)
      started = startRawUpstream((socket) => socket.write(answer(200, 'up')), port)
    })

    const outcome = await send(post('one')).outcome
    server = await started

    expect([outcome, retries]).toEqual(['200 up', ['refused']])
    expect(server?.requests).toHaveLength(1)
  })

  it('is an error the second time', async () => {
    const retries: RetryCause[] = []
    connectTo(`http://127.0.0.1:${await freePort()}`, (cause) => retries.push(cause))

    expect(await send(post('one')).outcome).toBe('UPSTREAM_REFUSED')
    expect(retries).toEqual(['refused'])
  })

  it('is not retried for a client that has left', async () => {
    const port = await freePort()
    let refused = 0
    let started: Promise<RawUpstream> | undefined
    connectTo(
      `http://127.0.0.1:${port}`,
      () => {
        refused++
        if (refused < 2) return
        first.abort()
        started = startRawUpstream((socket) => socket.write(answer(200, 'up')), port)
      },
      2,
    )
    const first = send(post('first'))
    // Timers of equal length fire in the order in which they were started. So once the second request arrives, the first one's time is
    // over.
    const second = send(post('second'))

    expect([await first.outcome, await second.outcome]).toEqual(['CLIENT_GONE', '200 up'])
    server = await started
    expect(server?.requests.map((request) => request.split('\r\n\r\n')[1])).toEqual(['second'])
    expect(server?.sockets).toHaveLength(1)
  })
})

describe('an idle connection that the upstream', () => {
  const idle = async (onRetry: (cause: RetryCause) => void) => {
    server = await startRawUpstream((socket) => socket.write(answer(200, 'ok')))
    connectTo(server.url, onRetry)
    await send(post('one')).outcome
    const [socket] = server.sockets
    if (socket === undefined) throw new Error('no connection')
    return socket
  }

  // In one iteration of the event loop, so that the request meets a connection that is dead but not yet known to be.
  it.each([
    ['closes', 'destroy', []],
    ['resets', 'resetAndDestroy', ['reset']],
  ] as const)('%s does not fail the next request, which is sent once', async (_, end, wanted) => {
    const retries: RetryCause[] = []
    const socket = await idle((cause) => retries.push(cause))

    socket[end]()
    const outcome = await send(post('two')).outcome

    expect([outcome, retries]).toEqual(['200 ok', wanted])
    expect(server?.requests.map((request) => request.split('\r\n\r\n')[1])).toEqual(['one', 'two'])
  })
})

describe('a request that was sent is not sent again', () => {
  it.each([
    ['reset', 'resetAndDestroy', 'a fresh', 1],
    ['closed', 'destroy', 'a fresh', 1],
    ['reset', 'resetAndDestroy', 'a used', 2],
    ['closed', 'destroy', 'a used', 2],
  ] as const)('when the connection is %s (%s) before the answer: %s connection', async (_, end, __, at) => {
    const retries: RetryCause[] = []
    server = await startRawUpstream((socket, ___, count) => {
      if (count === at) socket[end]()
      else socket.write(answer(200, 'ok'))
    })
    connectTo(server.url, (cause) => retries.push(cause))
    for (let i = 1; i < at; i++) expect(await send(post('before')).outcome).toBe('200 ok')

    expect(await send(post('sent')).outcome).toBe('UPSTREAM_BROKEN')

    expect(await send(post('after')).outcome).toBe('200 ok')
    expect(server.requests.filter((request) => request.endsWith('sent'))).toHaveLength(1)
    expect(retries).toEqual([])
  })

  it('when the connection is reset in the middle of it', async () => {
    const retries: RetryCause[] = []
    server = await startRawUpstream((socket) => socket.write(answer(200, 'ok')))
    connectTo(server.url, (cause) => retries.push(cause))
    await send(post('first')).outcome
    const { sockets } = server
    sockets[0]?.once('data', () => sockets[0]?.resetAndDestroy())

    const outcome = await send(post('x'.repeat(20_000_000))).outcome

    expect([outcome, retries]).toEqual(['UPSTREAM_BROKEN', []])
    expect(sockets).toHaveLength(1)
  })
})

describe('a request that is aborted while it waits', () => {
  it('is never sent, and leaves the connection to the next request', async () => {
    let release = () => {}
    server = await startRawUpstream((socket, _, count) => {
      if (count > 1) socket.write(answer(200, 'next'))
      else release = () => socket.write(answer(200, 'first'))
    })
    connectTo(server.url)
    const first = send(post('first'))
    await until('the first is there', () => server?.requests.length === 1)
    const gone = send(post('gone'))
    const next = send(post('next'))

    gone.abort()
    release()

    expect([await first.outcome, await gone.outcome, await next.outcome]).toEqual([
      '200 first',
      'CLIENT_GONE',
      '200 next',
    ])
    expect(server.requests.map((request) => request.split('\r\n\r\n')[1])).toEqual(['first', 'next'])
    expect(server.sockets).toHaveLength(1)
  })

  it('releases its bytes and its client while others still wait', async () => {
    server = await startRawUpstream(() => {})
    connectTo(server.url)
    send(post('first'))
    await until('the first is there', () => server?.requests.length === 1)
    const gone = (() => {
      const request = post('x'.repeat(1_000_000))
      const client = { told: '' }
      const abort = upstream.send(request, {
        onStart: () => {},
        onHeaders: () => {},
        onData: () => {},
        onEnd: () => {},
        onError: ({ code }) => {
          client.told = code
        },
      })
      abort()
      return [new WeakRef(request.body as Buffer), new WeakRef(client)]
    })()

    await until('both are collected', () => {
      collectGarbage()
      return gone.every((held) => held.deref() === undefined)
    })

    expect(server.requests).toHaveLength(1)
  })
})
