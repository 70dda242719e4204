// Adds each model's context limit to the engine's answer to GET /v1/models, as `max_input_tokens`. It is spliced into the original bytes;
// any other answer passes unchanged.

import { rawHeaderIn } from '../base/flat-headers.ts'
import { isObject, type JsonObject, type JsonValue, parseJson } from '../base/json.ts'
import { itemsOf, RawObject, type Span } from '../dialects/raw-json.ts'
import type { AnswerControl, AnswerSink } from '../engines/engine.ts'

/**
 * Given the models of one answer, returns the limit to show for each: the tokens that cwm enforces, or undefined if `max_input_tokens` stays
 * unchanged or absent.
 */
export type InputLimits = (cards: readonly JsonValue[]) => (card: JsonObject) => number | undefined

const MEMBER = 'max_input_tokens'
/** Longer answers pass unread, because parsing blocks the event loop. One model takes 400 bytes with vLLM 0.32. */
const MAX_HELD_BYTES = 1024 * 1024

/** Whether the request is for the list of models, or for one model on a path that the operator forwards. */
export function asksForModels(method: string | undefined, path: string): boolean {
  return (path === '/v1/models' || path.startsWith('/v1/models/')) && (method === 'GET' || method === 'HEAD')
}

/** With these headers the engine would send part of its own bytes, or 304 for a client's copy of them. */
const wholeOnly = /^(if-none-match|if-modified-since|if-range|range)$/i
/** Headers that apply to the engine's own bytes only. */
const ofBytes = /^(etag|content-md5|digest|content-digest|repr-digest|accept-ranges)$/i

/** The headers of a request, flat, without those that request anything but the complete answer. */
export function askedWhole(headers: readonly string[]): string[] {
  return headers.filter((_, i) => !wholeOnly.test(headers[i - (i % 2)] ?? ''))
}

/** Wraps the sink of an answer: holds the list until it is complete, and passes it on with limits. */
export class ModelLimits implements AnswerSink {
  readonly #sink: AnswerSink
  readonly #inputLimits: InputLimits
  readonly #head: boolean
  #held: { readonly rawHeaders: readonly Buffer[]; readonly statusText: string; readonly chunks: Buffer[] } | undefined
  #heldBytes = 0

  /** `head`: there is no body, only its headers. */
  constructor(sink: AnswerSink, inputLimits: InputLimits, head: boolean) {
    this.#sink = sink
    this.#inputLimits = inputLimits
    this.#head = head
  }

  onStart(control: AnswerControl): void {
    this.#sink.onStart(control)
  }

  onHeaders(status: number, rawHeaders: readonly Buffer[], statusText: string): void {
    if (status !== 200 || !isPlainJson(rawHeaders)) this.#sink.onHeaders(status, rawHeaders, statusText)
    else if (this.#head) this.#sink.onHeaders(status, withLength(rawHeaders, undefined), statusText)
    else this.#held = { rawHeaders, statusText, chunks: [] }
  }

  onData(bytes: Buffer): void {
    if (this.#held === undefined) {
      this.#sink.onData(bytes)
      return
    }
    this.#held.chunks.push(bytes)
    this.#heldBytes += bytes.length
    if (this.#heldBytes > MAX_HELD_BYTES) this.#release(this.#held.chunks)
  }

  onEnd(): void {
    if (this.#held !== undefined) {
      const whole = Buffer.concat(this.#held.chunks)
      const shown = withInputLimits(whole, this.#inputLimits)
      this.#release([shown], shown === whole ? undefined : shown.length)
    }
    this.#sink.onEnd()
  }

  onError(error: Parameters<AnswerSink['onError']>[0]): void {
    this.#held = undefined
    this.#sink.onError(error)
  }

  /** Passes on the held answer. `length`: the new length, if bytes were changed. */
  #release(chunks: readonly Buffer[], length?: number): void {
    if (this.#held === undefined) return
    const { rawHeaders, statusText } = this.#held
    this.#held = undefined
    this.#sink.onHeaders(200, length === undefined ? rawHeaders : withLength(rawHeaders, length), statusText)
    for (const bytes of chunks) if (bytes.length > 0) this.#sink.onData(bytes)
  }
}

/**
 * Returns an answer to /v1/models with `max_input_tokens` in each model that has a limit to show: after its last member, or in place of its
 * value. Returns the same buffer if nothing changes, also if it is another kind of answer.
 */
export function withInputLimits(bytes: Buffer, inputLimits: InputLimits): Buffer {
  const body = parseJson(bytes.toString('utf8'))
  if (!isObject(body)) return bytes
  const isList = body.data !== undefined
  const cards = isList ? body.data : [body]
  if (!Array.isArray(cards)) return bytes
  const limitOf = inputLimits(cards)
  const limits = (cards as readonly JsonValue[]).map((card) => (isObject(card) ? limitOf(card) : undefined))
  if (limits.every((limit) => limit === undefined)) return bytes
  const spans = isList
    ? itemsOf(bytes, new RawObject(bytes).find('data')?.start ?? 0)
    : [{ start: 0, end: bytes.length }]
  const parts: Buffer[] = []
  let at = 0
  for (const [i, span] of spans.entries()) {
    const limit = limits[i]
    if (limit === undefined) continue
    const edit = editOf(bytes, span, limit)
    parts.push(bytes.subarray(at, edit.start), Buffer.from(edit.text))
    at = edit.end
  }
  return Buffer.concat([...parts, bytes.subarray(at)])
}

function editOf(bytes: Buffer, { start, end }: Span, limit: number): Span & { readonly text: string } {
  const card = new RawObject(bytes.subarray(start, end))
  const there = card.find(MEMBER)
  if (there !== undefined) return { start: start + there.start, end: start + there.end, text: String(limit) }
  // A model without members has no id, and so no limit.
  const last = start + (card.members.at(-1)?.end ?? 0)
  return { start: last, end: last, text: `,"${MEMBER}":${limit}` }
}

/** Whether the answer is JSON without a content encoding. */
function isPlainJson(rawHeaders: readonly Buffer[]): boolean {
  const coding = rawHeaderIn(rawHeaders, 'content-encoding') ?? 'identity'
  const type = rawHeaderIn(rawHeaders, 'content-type')?.split(';', 1)[0]
  return type?.trim().toLowerCase() === 'application/json' && coding.trim().toLowerCase() === 'identity'
}

/** Removes the headers that apply to the engine's bytes only, and replaces the length if there was one. */
function withLength(rawHeaders: readonly Buffer[], length: number | undefined): Buffer[] {
  const out: Buffer[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name, value] = [rawHeaders[i], rawHeaders[i + 1]]
    if (name === undefined || value === undefined || ofBytes.test(name.toString('latin1'))) continue
    if (!/^content-length$/i.test(name.toString('latin1'))) out.push(name, value)
    else if (length !== undefined) out.push(name, Buffer.from(String(length)))
  }
  return out
}
