// Passes an answer from the engine to the client. Bytes are sent first and read second. There are three kinds: answers passed on unread,
// event streams, and JSON answers, which are held until they are complete so that the headers can report on them.

import type { AnswerBudget } from '../admission/answer-budget.ts'
import { CwmError } from '../base/errors.ts'
import { headerIn, rawHeaderIn } from '../base/flat-headers.ts'
import { isObject, type JsonObject, parseJson } from '../base/json.ts'
import type { DialectRules, Observation } from '../dialects/dialect.ts'
import type { AnswerControl, AnswerSink } from '../engines/engine.ts'
import { splitEvents } from '../sse/decode.ts'
import { EventFramer, endOfLastEvent } from '../sse/frame.ts'
import { UsageHold } from '../sse/usage-hold.ts'
import type { ClientResponse } from './client-response.ts'
import { SeenEvents } from './seen-events.ts'

export interface AnswerHooks {
  /** Called before the headers are sent. */
  headers(status: number): void
  /** The first byte of the body arrived. Not called for empty bodies. */
  began(): void
  /** The answer is complete, and its last bytes are not sent yet. Undefined if it was too large to be read. */
  observed(observation: Observation | undefined, status: number): void
  /** The end of a stream was written to the client's socket, so the answer counts as delivered however the connection ends. */
  delivered(): void
  /** The answer ended, with or without an error. `events`: how many a stream had, about one per token. */
  ended(outcome: { readonly error?: CwmError; readonly status: number; readonly events: number }): void
}

export interface AnswerLimits {
  /** JSON answers up to this size are held until they are complete. Larger ones, and those over the budget, are passed on unread. */
  readonly maxHeldBytes: number
  /** Streams up to this size are read afterwards. */
  readonly maxObservedBytes: number
}

export interface AnswerOptions {
  readonly client: ClientResponse
  /** Undefined on plain paths, whose answers are not read. */
  readonly rules: DialectRules | undefined
  /** cwm requested the usage event itself, so the client must not see it. */
  readonly ownUsage: boolean
  readonly head: boolean
  readonly incoming: (raw: readonly Buffer[]) => string[]
  readonly hooks: AnswerHooks
  readonly limits: AnswerLimits
  readonly budget: Pick<AnswerBudget, 'change'>
  /** Whose share of the budget the answer uses. */
  readonly sharer: string
}

/** The readers of an event stream. */
interface Stream {
  readonly framer: EventFramer
  readonly events: SeenEvents
}

type Mode = 'waiting' | 'pass' | 'events' | 'json'

/** Bytes are reserved in steps, because a budget that is asked for each event of a stream would cost more than it protects. */
const RESERVE_BYTES = 8 * 1024
/** Longer events are passed on in parts. */
const MAX_EVENT_BYTES = 1024 * 1024

export class Answer implements AnswerSink {
  readonly #options: AnswerOptions
  readonly #hold: UsageHold | undefined
  #mode: Mode = 'waiting'
  #hasBegun = false
  #status = 0
  #statusText = ''
  #headers: string[] = []
  /** A JSON answer, held until it is complete. */
  #json: Buffer[] = []
  /** Created with the headers of a stream. */
  #stream: Stream | undefined
  #seenBytes = 0
  /** Of a stream: how many events were passed on. */
  #events = 0
  /** At least `#seenBytes`, once they are counted. */
  #reservedBytes = 0
  #unread = false
  #observed = false
  /** The client has received the beginning of an event that is too long to hold, but not its end. */
  #inEvent = false
  /** Of a stream. */
  #rawHeaders: readonly Buffer[] = []

  constructor(options: AnswerOptions) {
    this.#options = options
    this.#hold = options.ownUsage ? new UsageHold(options.limits.maxHeldBytes) : undefined
  }

  onStart(control: AnswerControl): void {
    this.#options.client.control(control)
  }

  onHeaders(status: number, rawHeaders: readonly Buffer[], statusText: string): void {
    const { client, rules, hooks, incoming } = this.#options
    this.#status = status
    this.#statusText = statusText
    this.#headers = incoming(rawHeaders)
    hooks.headers(status)
    const type = mediaType(this.#headers)
    if (rules !== undefined && type === 'text/event-stream') {
      this.#mode = 'events'
      this.#stream = { framer: new EventFramer(MAX_EVENT_BYTES), events: new SeenEvents(rules.deltas) }
      this.#rawHeaders = rawHeaders
      client.head(status, statusText, withoutLength(this.#headers))
      client.flush()
    } else if (rules !== undefined && !this.#options.head) {
      this.#mode = 'json'
    } else {
      this.#mode = 'pass'
      client.head(status, statusText, this.#headers)
      client.flush()
    }
  }

  onData(bytes: Buffer): void {
    if (!this.#hasBegun) {
      this.#hasBegun = true
      this.#options.hooks.began()
    }
    if (this.#mode === 'pass') this.#options.client.write(bytes)
    else if (this.#mode === 'json') this.#holdJson(bytes)
    else if (this.#stream !== undefined && !this.#passDelta(bytes, this.#stream)) {
      this.#passEvents(this.#stream.framer.push(bytes))
    }
  }

  onEnd(): void {
    const { client, hooks } = this.#options
    if (this.#mode === 'events') {
      const rest = this.#stream?.framer.takeRest() ?? []
      if (this.#isCut(rest)) {
        this.onError(
          new CwmError('UPSTREAM_BROKEN', 'the upstream closed the connection before the last event of its stream'),
        )
        return
      }
      for (const bytes of this.#hold?.flush() ?? []) client.write(bytes)
      for (const bytes of rest) client.write(bytes)
      this.#observe()
      client.end()
    } else if (this.#mode === 'json') {
      this.#observe()
      client.head(this.#status, this.#statusText, this.#headers)
      client.end(this.#wholeJson())
    } else client.end()
    this.#forget(this.#mode === 'json')
    hooks.ended({ status: this.#status, events: this.#events })
  }

  onError(error: CwmError): void {
    const { client, hooks } = this.#options
    this.#forget()
    if (!client.gone) {
      if (this.#mode === 'events') {
        // Complete events that wait for a usage event belong to the client. The partial one is dropped.
        for (const bytes of this.#hold?.flush() ?? []) client.write(bytes)
        client.breakStream(error, this.#inEvent)
      } else if (this.#mode === 'pass') client.destroy()
      else client.fail(error)
    }
    hooks.ended({ error, status: this.#status, events: this.#events })
  }

  /** Most chunks are the event of one token and differ from the one before only in its text. They end nothing, and need not be held back. */
  #passDelta(bytes: Buffer, { framer, events }: Stream): boolean {
    const isAlone = framer.heldBytes === 0 && !this.#inEvent && this.#hold?.holds !== true
    if (!isAlone || this.#unread || this.#observed || !events.addDelta(bytes)) return false
    if (!this.#count(bytes.length, this.#options.limits.maxObservedBytes)) this.#leaveUnread()
    this.#events++
    this.#options.client.write(bytes)
    return true
  }

  /** Whether only the end of the connection ended the stream, before its last event. A crash looks like that; undici reports even a reset so. */
  #isCut(rest: readonly Buffer[]): boolean {
    const { rules } = this.#options
    if (this.#observed || rules === undefined || tellsItsEnd(this.#rawHeaders)) return false
    return !isLast(Buffer.concat(rest), rules)
  }

  #passEvents(whole: readonly Buffer[]): void {
    const { client, rules, hooks } = this.#options
    for (const bytes of whole) {
      this.#events += eventsIn(bytes)
      this.#inEvent = endOfLastEvent(bytes) !== bytes.length
      this.#see(bytes)
      const ends = !this.#observed && rules !== undefined && isLast(bytes, rules)
      if (ends) this.#observe()
      if (this.#hold === undefined) client.write(bytes)
      else for (const event of this.#held(bytes)) client.write(event)
      if (ends) client.flushed(() => hooks.delivered())
    }
  }

  #held(bytes: Buffer): readonly Buffer[] {
    const out: Buffer[] = []
    let length = 0
    for (const event of splitEvents(bytes)) {
      length += event.length
      out.push(...(this.#hold?.push(event) ?? []))
    }
    // Part of an event that is too long to hold. Held events are sent first, to keep the order.
    if (length < bytes.length) out.push(...(this.#hold?.flush() ?? []), bytes.subarray(length))
    return out
  }

  #holdJson(bytes: Buffer): void {
    const { client, limits } = this.#options
    this.#json.push(bytes)
    if (this.#count(bytes.length, limits.maxHeldBytes)) return
    this.#mode = 'pass'
    this.#unread = true
    this.#observe()
    client.head(this.#status, this.#statusText, this.#headers)
    for (const seen of this.#json) client.write(seen)
    this.#forget(true)
  }

  #see(bytes: Buffer): void {
    if (this.#unread || this.#observed) return
    if (this.#count(bytes.length, this.#options.limits.maxObservedBytes)) this.#stream?.events.add(bytes)
    else this.#leaveUnread()
  }

  /** Reserves bytes for reading. Returns whether they fit the limit of one answer and that of all. */
  #count(bytes: number, mostBytes: number): boolean {
    const seen = this.#seenBytes + bytes
    if (seen > mostBytes || (seen > this.#reservedBytes && !this.#reserve(seen))) return false
    this.#seenBytes = seen
    return true
  }

  #reserve(bytes: number): boolean {
    const { budget, sharer } = this.#options
    for (const to of [bytes + RESERVE_BYTES, bytes]) {
      if (!budget.change(sharer, this.#reservedBytes, to)) continue
      this.#reservedBytes = to
      return true
    }
    return false
  }

  #leaveUnread(): void {
    this.#unread = true
    this.#forget()
  }

  #observe(): void {
    if (this.#observed) return
    this.#observed = true
    const { rules, hooks } = this.#options
    if (rules === undefined) return
    hooks.observed(this.#unread ? undefined : this.#read(rules), this.#status)
  }

  #read(rules: DialectRules): Observation | undefined {
    if (this.#stream !== undefined) return rules.observeEvents(this.#stream.events.read())
    const value = parseJson(this.#wholeJson().toString('utf8'))
    return isObject(value) ? rules.observeJson(value as JsonObject) : undefined
  }

  /** Joined once, because it is both read and sent. */
  #wholeJson(): Buffer {
    const [first, ...others] = this.#json
    if (first !== undefined && others.length === 0) return first
    const whole = Buffer.concat(this.#json)
    this.#json = [whole]
    return whole
  }

  /** Drops the kept bytes and releases their reservation. `wereSent`: they wait in the client's socket, and count until it has read them. */
  #forget(wereSent = false): void {
    const { budget, sharer, client } = this.#options
    const reserved = this.#reservedBytes
    this.#json = []
    this.#stream?.events.clear()
    this.#seenBytes = 0
    this.#reservedBytes = 0
    if (reserved === 0) return
    if (wereSent) client.whenRead(() => budget.change(sharer, reserved, 0))
    else budget.change(sharer, reserved, 0)
  }
}

/**
 * Whether these bytes end a stream, so that the client may close its connection or send its next turn. Only complete lines count: JSON
 * escapes line breaks, so the model's text cannot contain one.
 */
function isLast(bytes: Buffer, { terminalLines }: DialectRules): boolean {
  return terminalLines.some(
    (line) => bytes.includes(line) || bytes.subarray(0, line.length - 1).equals(line.subarray(1)),
  )
}

/** About how many events these bytes are. */
function eventsIn(bytes: Buffer): number {
  let events = 0
  for (let at = bytes.indexOf('\n\n'); at !== -1; at = bytes.indexOf('\n\n', at + 2)) events++
  return events
}

/** The media type without parameters, lower case; undefined if the answer has none. */
function mediaType(headers: readonly string[]): string | undefined {
  return headerIn(headers, 'content-type')?.split(';', 1)[0]?.trim().toLowerCase()
}

/** Whether its length or chunks determine where an answer ends (RFC 9112, 6.3). */
function tellsItsEnd(rawHeaders: readonly Buffer[]): boolean {
  return (
    rawHeaderIn(rawHeaders, 'content-length') !== undefined ||
    rawHeaderIn(rawHeaders, 'transfer-encoding') !== undefined
  )
}

/** A stream may become shorter than announced, without the usage event, or longer, with an error event. */
function withoutLength(headers: readonly string[]): readonly string[] {
  const out: string[] = []
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() !== 'content-length') out.push(headers[i] ?? '', headers[i + 1] ?? '')
  }
  return out
}
