// What every engine must do, held to the text of src/engines/engine.ts. An engine's own test calls this and adds what is its own.

import { connect, createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { CwmError } from '../../../src/base/errors.ts'
import type { AnswerSink, CallOptions, Engine } from '../../../src/engines/engine.ts'
import { within } from '../../support/deadline.ts'
import { freePort } from '../../support/raw-upstream.ts'
import { longText, newSalt } from './target.ts'

export interface EngineUnderTest {
  /** Where the engine listens. */
  readonly url: string
  /** A served model. */
  readonly model: string
  /** Its limit in tokens, as the engine itself reports it. */
  readonly limit: number
  /** A new engine object for a URL. Its breaker opens after `FAILURES` failed connections, and stays open for minutes. */
  open(url: string): Engine
}

/** What the contract is checked for. It is called within tests only. */
export type EngineSubject = () => EngineUnderTest

export const FAILURES = 2
const PROBE_MS = 20_000
const WARM_TOKENS = 600

const options: CallOptions = { apiKey: undefined }
const question = { role: 'user', content: 'How deep is the harbour?' }

/** Declares the contract's tests for a kind of engine. */
export function describeEngineContract(name: string, subject: EngineSubject): void {
  const opened: Engine[] = []
  const open: OpenEngine = (url = subject().url) => {
    const engine = subject().open(url)
    opened.push(engine)
    return engine
  }
  afterEach(async () => {
    for (const engine of opened.splice(0)) await engine.close()
  })

  describe(`${name} keeps the engine contract`, () => {
    describeSending(subject, open)
    describeModels(subject, open)
    describePrompts(subject, open)
    describeCache(open)
    describeWarmCalls(subject, open)
    describeHealth(open)
    describeEnd(subject, open)
  })
}

type OpenEngine = (url?: string) => Engine

/** One request, and what came back, in order. */
class Received implements AnswerSink {
  readonly calls: string[] = []
  readonly chunks: Buffer[] = []
  status = 0
  error: CwmError | undefined
  #first: (() => void) | undefined
  #over: (() => void) | undefined
  readonly firstByte = new Promise<void>((resolve) => {
    this.#first = resolve
  })
  readonly over = new Promise<void>((resolve) => {
    this.#over = resolve
  })

  onStart(): void {
    this.calls.push('start')
  }

  onHeaders(status: number): void {
    this.calls.push('headers')
    this.status = status
  }

  onData(bytes: Buffer): void {
    if (this.calls.at(-1) !== 'data') this.calls.push('data')
    this.chunks.push(bytes)
    this.#first?.()
  }

  onEnd(): void {
    this.calls.push('end')
    this.#over?.()
  }

  onError(error: CwmError): void {
    this.calls.push('error')
    this.error = error
    this.#over?.()
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString()
  }
}

function ask(engine: Engine, body: object) {
  const received = new Received()
  const bytes = Buffer.from(JSON.stringify(body))
  const headers = ['content-type', 'application/json', 'content-length', String(bytes.length)]
  const abort = engine.send({ method: 'POST', path: '/v1/chat/completions', headers, body: bytes }, received)
  return { received, abort }
}

const turn = (subject: EngineSubject, fields: object) => ({ model: subject().model, messages: [question], ...fields })
/** A stream that does not end by itself while a test looks at it. */
const longStream = (subject: EngineSubject) =>
  turn(subject, { stream: true, max_tokens: Math.min(2_000, subject().limit - 200), ignore_eos: true })

function describeSending(subject: EngineSubject, open: OpenEngine): void {
  describe('send', () => {
    it('passes on an answer from its start to its end, once', async () => {
      const { received } = ask(open(), turn(subject, { max_tokens: 4 }))

      await within('the answer ends', received.over)

      expect(received.calls).toEqual(['start', 'headers', 'data', 'end'])
      expect(received.status).toBe(200)
      expect(JSON.parse(received.text)).toMatchObject({ object: 'chat.completion' })
    })

    it('passes on a refusal as an answer', async () => {
      const { received } = ask(open(), { ...turn(subject, {}), messages: 'none' })

      await within('the refusal ends', received.over)

      expect(received.calls.at(-1)).toBe('end')
      expect(received.status).toBe(400)
    })

    it('ends in the middle of a stream when it is aborted, and says that the client left', async () => {
      const { received, abort } = ask(open(), longStream(subject))
      await within('the stream begins', received.firstByte)

      abort()
      await within('the stream ends', received.over)

      expect(received.calls).toEqual(['start', 'headers', 'data', 'error'])
      expect(received.error?.code).toBe('CLIENT_GONE')
    })

    it('ends with the reason that an abort gives, also before it has a connection', async () => {
      const { received, abort } = ask(open(), longStream(subject))

      abort(new CwmError('SESSION_ENDED', 'ended'))
      await within('the request ends', received.over)

      expect(received.error?.code).toBe('SESSION_ENDED')
      expect(received.calls.filter((call) => call === 'error')).toHaveLength(1)
      expect(received.calls.at(-1)).toBe('error')
    })

    it('takes an abort after the end for nothing', async () => {
      const { received, abort } = ask(open(), turn(subject, { max_tokens: 1 }))
      await within('the answer ends', received.over)

      abort()

      expect(received.calls.at(-1)).toBe('end')
      expect(received.error).toBeUndefined()
    })
  })
}

function describeModels(subject: EngineSubject, open: OpenEngine): void {
  describe('models', () => {
    it('are known with their limits once somebody has asked', async () => {
      const { models } = open()
      const { model, limit } = subject()

      const listed = await models.list(undefined)

      expect(listed.map(({ id }) => id)).toContain(model)
      expect(models.isServed(model)).toBe(true)
      expect(models.limitsOf(model, undefined)).toMatchObject({ limit, contextLimit: limit })
      expect(await models.find(model, undefined)).toMatchObject({ id: model, limit })
    })

    it('are unknown, and waited for by nobody, before that', () => {
      const { models } = open()
      const { model } = subject()

      expect(models.isServed(model)).toBe(false)
      expect(models.limitsOf(model, undefined)).toEqual({ limit: undefined, contextLimit: undefined })
    })

    it('are asked for by a turn that must be held to its limit', async () => {
      const { model, limit } = subject()

      expect(await open().models.limitsToHold(model, undefined)).toMatchObject({ limit, contextLimit: limit })
    })

    it('do not include a name that the engine does not list', async () => {
      expect(await open().models.find('a model that nobody has', undefined)).toBeUndefined()
    })

    it('can be shown with their limits', async () => {
      const { models } = open()

      const { status, body } = await models.page(undefined, new AbortController().signal)
      const cards = Array.isArray(body.data) ? body.data : []
      const limitOf = models.inputLimits(cards)

      expect(status).toBe(200)
      expect(cards.map((card: { id: string }) => [card.id, limitOf(card)])).toContainEqual([
        subject().model,
        subject().limit,
      ])
    })
  })
}

function describePrompts(subject: EngineSubject, open: OpenEngine): void {
  const promptOf = (...messages: { role: string; content: string }[]) =>
    ({ dialect: 'chat', model: subject().model, messages, shaping: {} }) as const

  describe('a prompt', () => {
    it('has as many ids as the engine bills, and is counted alike', async () => {
      const engine = open()
      const { received } = ask(engine, turn(subject, { max_tokens: 1 }))
      await within('the answer ends', received.over)
      const billed = (JSON.parse(received.text) as { usage: { prompt_tokens: number } }).usage.prompt_tokens

      const ids = await engine.tokenIds(promptOf(question), options)

      expect(ids?.length).toBe(billed)
      expect(await engine.countTokens(promptOf(question), options)).toBe(billed)
    })

    it('has the ids with which the next prompt begins', async () => {
      const engine = open()
      const reply = { role: 'assistant', content: 'Nine fathoms.' }
      const next = (text: string) =>
        engine.tokenIds(promptOf(question, reply, { role: 'user', content: text }), options)

      const [one, other] = [await next('0'), await next('What?')]
      const asked = await engine.tokenIds(promptOf(question), options)
      const common = one?.findIndex((id, i) => id !== other?.[i]) ?? 0

      expect(common).toBeGreaterThan(asked?.length ?? Number.POSITIVE_INFINITY)
    })

    it('of bare text is counted, with the marks of the tokenizer or without', async () => {
      const engine = open()
      const { model } = subject()
      const count = async (text: string, special?: 'text only') =>
        (await engine.countText(model, text, options, special)) ?? Number.NaN

      expect(await count('The harbour opens at six.', 'text only')).toBeGreaterThan(3)
      expect(await count('The harbour opens at six.')).toBeGreaterThanOrEqual(
        await count('The harbour opens at six.', 'text only'),
      )
    })
  })
}

function describeCache(open: OpenEngine): void {
  describe('its own cache', () => {
    it('holds a number of tokens', async () => {
      expect(await open().cacheTokens(options)).toBeGreaterThan(1_000)
    })

    it('is of unknown size while nothing answers', async () => {
      expect(await open(`http://127.0.0.1:${await freePort()}`).cacheTokens(options)).toBeUndefined()
    })
  })
}

function describeWarmCalls(subject: EngineSubject, open: OpenEngine): void {
  const idsOf = async (engine: Engine): Promise<Uint32Array> => {
    const content = longText(2 * WARM_TOKENS)
    const messages = [{ role: 'user', content }]
    const ids = await engine.tokenIds({ dialect: 'chat', model: subject().model, messages, shaping: {} }, options)
    return (ids ?? new Uint32Array()).subarray(0, WARM_TOKENS)
  }

  describe('a warm call', () => {
    it('computes what nobody has sent under this salt, and finds it there the next time', async () => {
      const engine = open()
      const { model } = subject()
      const call = { model, tokenIds: await idsOf(engine), salt: newSalt() }

      const cold = await engine.warm(call, options)
      const again = await engine.warm(call, options)
      const other = await engine.warm({ ...call, salt: newSalt() }, options)

      expect(call.tokenIds.length).toBe(WARM_TOKENS)
      expect(cold).toEqual({ promptTokens: WARM_TOKENS, cachedTokens: 0 })
      expect(again.cachedTokens).toBeGreaterThan(WARM_TOKENS / 2)
      expect(again.cachedTokens).toBeLessThan(WARM_TOKENS)
      expect(other.cachedTokens).toBe(0)
    })

    it('ends with its signal', async () => {
      const engine = open()
      const tokenIds = await idsOf(engine)
      const signal = AbortSignal.abort()

      const warm = engine.warm({ model: subject().model, tokenIds, salt: newSalt() }, { ...options, signal })

      await expect(warm).rejects.toMatchObject({ code: 'CLIENT_GONE' })
    })

    it('of a model that the engine does not serve is rejected', async () => {
      const call = { model: 'a model that nobody has', tokenIds: Uint32Array.of(1_000, 1_001), salt: newSalt() }

      await expect(open().warm(call, options)).rejects.toMatchObject({ code: 'UPSTREAM_REJECTED', refusedWith: 404 })
    })
  })
}

function describeHealth(open: OpenEngine): void {
  describe('health', () => {
    it('is unknown at first, and known by any answer', async () => {
      const { health, models } = open()

      const before = health.lastSeen
      await models.list(undefined)

      expect(before).toBeUndefined()
      expect(health.lastSeen).toEqual({ ok: true })
      expect(health.breaker).toBe('closed')
    })

    it('is asked for by a probe', async () => {
      const { health } = open()

      expect(await health.probe(PROBE_MS)).toEqual({ ok: true })
      expect(health.lastSeen).toEqual({ ok: true })
    })

    it('is lost by failed connections: the breaker opens, and requests are refused at once', async () => {
      const engine = open(`http://127.0.0.1:${await freePort()}`)
      const codes: (string | undefined)[] = []
      for (let n = 0; n <= FAILURES; n++) {
        const { received } = ask(engine, {})
        await within('the request fails', received.over)
        codes.push(received.error?.code)
      }

      expect(codes).toEqual([...Array<string>(FAILURES).fill('UPSTREAM_REFUSED'), 'UPSTREAM_OPEN'])
      expect(engine.health.breaker).toBe('open')
      expect(engine.health.lastSeen).toMatchObject({ ok: false })
      expect(await engine.health.probe(PROBE_MS)).toMatchObject({ ok: false })
    })

    it('returns with an answer to a probe, which is sent though the breaker is open', async () => {
      const port = await freePort()
      const engine = open(`http://127.0.0.1:${port}`)
      for (let n = 0; n < FAILURES; n++) await within('it fails', ask(engine, {}).received.over)
      const before = engine.health.breaker
      const closeHop = await forward(port, open().origin)

      try {
        const found = await engine.health.probe(PROBE_MS)

        expect(before).toBe('open')
        expect(found).toEqual({ ok: true })
        expect(engine.health.breaker).toBe('closed')
        expect((await engine.models.list(undefined)).length).toBeGreaterThan(0)
      } finally {
        await engine.close()
        await closeHop()
      }
    })
  })
}

/** Passes connections on from a port to an address. Returns a function that stops it. */
async function forward(port: number, to: string): Promise<() => Promise<void>> {
  const { hostname: host, port: toPort } = new URL(to)
  const server = createServer((client) => {
    const upstream = connect({ host, port: Number(toPort) })
    client.pipe(upstream).pipe(client)
    client.on('error', () => upstream.destroy())
    upstream.on('error', () => client.destroy())
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return () => new Promise((resolve) => server.close(() => resolve()))
}

function describeEnd(subject: EngineSubject, open: OpenEngine): void {
  describe('an engine', () => {
    it('is known by the same id for the same URL, and by another for another', () => {
      const [one, again, other] = [open(), open(), open('http://127.0.0.1:1')]

      expect(one.id).toBe(again.id)
      expect(one.id).not.toBe(other.id)
      expect(other.origin).toBe('http://127.0.0.1:1')
    })

    it('that is ended fails what is in flight, and whatever comes later', async () => {
      const engine = open()
      const { received } = ask(engine, longStream(subject))
      await within('the stream begins', received.firstByte)

      const ended = engine.end(new CwmError('SHUTTING_DOWN', 'stopped'))
      await within('the stream ends', received.over)
      const { received: later } = ask(engine, turn(subject, {}))

      expect(ended).toBe(1)
      expect(received.error?.code).toBe('SHUTTING_DOWN')
      expect(later.error?.code).toBe('SHUTTING_DOWN')
    })
  })
}
