// Start, drain, and stop of the real process: real signals, real sockets, exit codes, and what clients see.

import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startSim } from '../../src/sim/index.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { askChat, prose, user } from '../support/conversation.ts'
import { until, within } from '../support/deadline.ts'
import { chatAnswer, type FakeUpstream, type Received, sayJson, startFakeUpstream } from '../support/fake-upstream.ts'
import { type ServeOptions, type ServeProcess, startServe } from '../support/serve-process.ts'

const CHAT = '/v1/chat/completions'
const body = { model: 'm', messages: [user('Are you there?')] }
const stream = { ...body, stream: true }
const HALF = 'data: {"choices":[{"index":0,"delta":{"content":"half"},"finish_reason":null}]}\n\n'

let built: BuiltCwm
let upstream: FakeUpstream
let cwm: ServeProcess
/** The upstream's response. */
let words: string
/** Finishes the responses that the upstream has started. */
let finish: () => void

beforeAll(async () => {
  built = await buildCwm()
})

afterAll(() => built.dispose())

beforeEach(async () => {
  const open: (() => void)[] = []
  words = 'whole'
  finish = () => {
    for (const end of open.splice(0)) end()
  }
  upstream = await startFakeUpstream((request, response) => {
    if (isStream(request)) {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(HALF)
      open.push(() => response.end('data: [DONE]\n\n'))
    } else open.push(() => sayJson(response, chatAnswer(words)))
  })
})

afterEach(async () => {
  await cwm.dispose()
  await upstream.close()
})

function isStream({ body: sent }: Received): boolean {
  return (JSON.parse(sent.toString()) as { stream?: boolean }).stream === true
}

async function start(
  flags: Record<string, string | number> = {},
  options: Partial<ServeOptions> = {},
): Promise<string> {
  cwm = await startServe(built, { upstream: upstream.url, flags, ...options })
  return await cwm.ready()
}

const arrived = (count = 1) => until('the upstream has it', () => upstream.received.length >= count)
const stopping = () => until('it says that it stops', () => cwm.output.includes('"msg":"stopping'))

async function isRefused(url: string): Promise<boolean> {
  return await ask(url, '/cwm/livez').then(
    () => false,
    (thrown: NodeJS.ErrnoException) => thrown.code === 'ECONNREFUSED',
  )
}

/** One turn on a kept-alive connection: its response, not read yet. */
function askAndKeep(url: string): Promise<IncomingMessage> {
  const { hostname, port } = new URL(url)
  const agent = new Agent({ keepAlive: true })
  return new Promise((resolve, reject) => {
    const request = httpRequest({ hostname, port, path: CHAT, method: 'POST', agent }, resolve)
    request.on('error', reject).end(JSON.stringify(body))
  })
}

/** One request on a kept-alive connection: its response, and the connection. */
function askOn(agent: Agent, url: string, path: string): Promise<{ answer: IncomingMessage; socket: Socket }> {
  const { hostname, port } = new URL(url)
  const answered = new Promise<{ answer: IncomingMessage; socket: Socket }>((resolve, reject) => {
    const request = httpRequest({ hostname, port, path, agent }, (answer) => {
      const { socket } = answer
      answer.resume().once('end', () => resolve({ answer, socket }))
    })
    request.on('error', reject).end()
  })
  return within(`an answer to ${path}`, answered)
}

describe('SIGTERM', () => {
  it('stops an idle cwm with exit code 0, and closes idle connections', async () => {
    const url = await start()
    const agent = new Agent({ keepAlive: true })
    const { answer, socket } = await askOn(agent, url, '/cwm/livez')
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))

    cwm.kill('SIGTERM')

    await within('the idle connection is closed', closed)
    expect(await cwm.ended()).toBe(0)
    expect(answer.headers.connection).toBe('keep-alive')
  })

  it('rejects new connections, and lets a stream finish', async () => {
    const url = await start()
    const answer = ask(url, CHAT, { body: stream })
    await arrived()

    cwm.kill('SIGTERM')

    await until('connections are refused', () => isRefused(url))
    finish()
    const got = await answer
    expect([got.clean, got.text]).toEqual([true, `${HALF}data: [DONE]\n\n`])
    expect(await cwm.ended()).toBe(0)
  })

  it('announces to a client with a pending answer that its connection closes', async () => {
    const url = await start()
    const answered = askAndKeep(url)
    await arrived()

    cwm.kill('SIGTERM')

    await stopping()
    finish()
    expect((await answered).headers.connection).toBe('close')
    expect(await cwm.ended()).toBe(0)
  })

  it('does not truncate an answer that its client is still reading', async () => {
    // More than the socket buffers hold, so most of it is queued in cwm.
    words = 'x'.repeat(15_000_000)
    const url = await start()
    const answered = askAndKeep(url)
    await arrived()
    finish()
    const answer = await answered

    cwm.kill('SIGTERM')

    await until('connections are refused', () => isRefused(url))
    let length = 0
    for await (const chunk of answer as AsyncIterable<Buffer>) length += chunk.length
    expect([length, answer.complete]).toEqual([Buffer.byteLength(chatAnswer(words)), true])
    expect(await cwm.ended()).toBe(0)
  })

  it('aborts what has not finished after drain_ms: with an error event in a stream, or 503 before an answer', async () => {
    const url = await start({ 'drain-ms': 200 })
    const ant = { model: 'm', messages: [user('?')], max_tokens: 5 }
    const streamed = ask(url, CHAT, { body: stream })
    const waiting = ask(url, CHAT, { body })
    const inAnthropic = ask(url, '/v1/messages', { body: ant })
    await arrived(3)

    cwm.kill('SIGTERM')

    const [broken, refused, anthropic] = await Promise.all([streamed, waiting, inAnthropic])
    expect(broken.clean).toBe(false)
    expect(broken.text).toMatch(/half.*\n\ndata: \{"error":\{.*"code":"shutting_down"\}\}\n\n$/s)
    expect([refused.status, refused.clean, errorOf(refused).code]).toEqual([503, true, 'shutting_down'])
    expect([refused.headers['retry-after'], refused.headers.connection]).toEqual(['1', 'close'])
    expect(jsonOf(anthropic)).toMatchObject({ type: 'error', error: { type: 'overloaded_error' } })
    await Promise.all(upstream.received.map(({ closed }) => within('the upstream sees it close', closed)))
    expect(await cwm.ended()).toBe(0)
    expect(cwm.log).toContainEqual(
      expect.objectContaining({ msg: 'aborted the requests and connections that did not finish in time', broken: 3 }),
    )
  })

  it('answers 503 to a request that is still queued then', async () => {
    const url = await start({ 'drain-ms': 200, 'max-in-flight': 1, 'queue-ms': 60_000 })
    const first = ask(url, CHAT, { body })
    await arrived()
    const waiting = ask(url, CHAT, { body })
    await until('it waits', async () => /^cwm_requests_queued 1$/m.test((await ask(url, '/cwm/metrics')).text))

    cwm.kill('SIGTERM')

    expect(errorOf(await first).code).toBe('shutting_down')
    expect([(await waiting).status, errorOf(await waiting).code]).toEqual([503, 'shutting_down'])
    expect([await cwm.ended(), upstream.received.length]).toEqual([0, 1])
  })

  it('for drain_delay_ms still accepts connections, reports not ready, and keeps no connection alive', async () => {
    const url = await start({ 'drain-delay-ms': 60_000 })
    const before = await ask(url, '/cwm/readyz')
    cwm.kill('SIGTERM')
    await stopping()

    const ready = await ask(url, '/cwm/readyz')
    const live = await ask(url, '/cwm/livez')
    const turn = askAndKeep(url)
    await arrived()
    finish()

    expect([before.status, jsonOf(before)]).toMatchObject([200, { status: 'ready', draining: false }])
    expect([ready.status, jsonOf(ready)]).toMatchObject([503, { status: 'not_ready', draining: true }])
    expect([live.status, jsonOf(live)]).toEqual([200, { status: 'live' }])
    expect([(await turn).statusCode, (await turn).headers.connection]).toEqual([200, 'close'])
  })

  it('closes an idle connection when the delay is over', async () => {
    const url = await start({ 'drain-delay-ms': 300 })
    const { socket } = await askOn(new Agent({ keepAlive: true }), url, '/cwm/livez')
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))

    cwm.kill('SIGTERM')

    await within('the connection is closed', closed)
    expect(await cwm.ended()).toBe(0)
  })

  it('during startup exits with 0, and releases the data directory', async () => {
    const silent = await startFakeUpstream(() => {}, { ownModels: true })
    cwm = await startServe(built, { upstream: silent.url })
    await until('cwm asks the engine for its models', () => silent.received.length > 0, 10_000)

    cwm.kill('SIGTERM')

    expect(await cwm.ended(5_000)).toBe(0)
    expect(cwm.output).toContain('stopped before startup was complete')
    expect(cwm.log.map(({ msg }) => msg)).not.toContain('ready')
    await silent.close()
    await start({}, { dataDir: cwm.dataDir })
  })

  it('shuts down in order even if nobody reads standard error any more', async () => {
    const url = await start()
    const answer = ask(url, CHAT, { body: stream })
    await arrived()
    cwm.child.stderr?.destroy()

    cwm.kill('SIGTERM')

    await until('connections are refused', () => isRefused(url))
    finish()
    expect((await answer).clean).toBe(true)
    expect(await cwm.ended()).toBe(0)
  })

  it('lets a current freeze finish', async () => {
    // Chunks appear in the directory after this time, and the freeze waits for them.
    const sim = await startSim({ eventFlushMs: 1_000 })
    const flags = { coordinator: sim.coordinatorUrl }
    const url = await start(flags, { upstream: sim.engineUrl })
    await askChat(url, [user(prose(600))], { headers: { 'x-cwm-freeze': 'kept' } })
    const before = await ask(url, '/cwm/v1/windows/kept')

    cwm.kill('SIGTERM')

    expect(await cwm.ended()).toBe(0)
    const next = await start(flags, { upstream: sim.engineUrl, dataDir: cwm.dataDir })
    const after = await ask(next, '/cwm/v1/windows/kept')
    expect(jsonOf(before).state).not.toBe('frozen')
    expect(jsonOf(after)).toMatchObject({ state: 'frozen', receipt: { durability: 'l2' } })
    cwm.kill('SIGTERM')
    await cwm.ended()
    await sim.close()
  })
})

describe('a second signal', () => {
  it.each([
    ['SIGINT', 'SIGINT', 130],
    ['SIGTERM', 'SIGTERM', 143],
    ['SIGTERM', 'SIGINT', 130],
  ] as const)('after %s, %s, ends it at once with %i', async (first, second, code) => {
    const url = await start({ 'drain-ms': 60_000 })
    const answer = ask(url, CHAT, { body: stream })
    await arrived()
    cwm.kill(first)
    await stopping()

    cwm.kill(second)

    expect(await cwm.ended()).toBe(code)
    expect((await answer).clean).toBe(false)
  })
})

describe('an uncaught exception', () => {
  it.each([
    ['an exception', 'throw new Error("planted")', 'uncaughtException'],
    ['a rejection', 'Promise.reject(new Error("planted"))', 'unhandledRejection'],
  ])('%s: it is logged, and the process exits with 1', async (_, fault, origin) => {
    const planted = `data:text/javascript,${encodeURIComponent(`process.on('SIGUSR2', () => { ${fault} })`)}`
    await start({}, { node: ['--import', planted] })

    cwm.kill('SIGUSR2')

    expect(await cwm.ended()).toBe(1)
    const line = cwm.log.find(({ level }) => level === 'error')
    expect(line).toMatchObject({ origin, err: { message: expect.stringContaining('planted') } })
  })
})
