// The context limit of each model in the upstream's own answer to GET /v1/models, as `max_input_tokens`. It is spliced into the bytes that
// came; whatever is not such an answer passes as it is.

import { rawHeaderIn } from '../base/flat-headers.ts'
import { isObject, type JsonObject, type JsonValue, parseJson } from '../base/json.ts'
import { itemsOf, RawObject, type Span } from '../dialects/raw-json.ts'
import type { AnswerControl, AnswerSink } from '../engines/engine.ts'

/**
 * Given the models of one answer, returns what to show for each of them: the tokens that turns are held to, or undefined where its
 * `max_input_tokens` stays as it is, or absent.
 */
export type InputLimits = (cards: readonly JsonValue[]) => (card: JsonObject) => number | undefined

const MEMBER = 'max_input_tokens'
/** A longer answer passes unread: it is parsed in one go, on the thread of all requests. One model takes 400 bytes at vLLM 0.32. */
const MAX_HELD_BYTES = 1024 * 1024

/** Whether such a request is for the list of models, or for one that the operator forwards. */
export function asksForModels(method: string | undefined, path: string): boolean {
  return (path === '/v1/models' || path.startsWith('/v1/models/')) && (method === 'GET' || method === 'HEAD')
}

/** By these the upstream would answer a part of its own bytes, or that a client's copy of them is still good. */
const wholeOnly = /^(if-none-match|if-modified-since|if-range|range)$/i
/** True of the upstream's own bytes and of no others. */
const ofBytes = /^(etag|content-md5|digest|content-digest|repr-digest|accept-ranges)$/i

/** The headers of a request, flat, without those that would bring anything but the whole answer. */
export function askedWhole(headers: readonly string[]): string[] {
  return headers.filter((_, i) => !wholeOnly.test(headers[i - (i % 2)] ?? ''))
}

/** Stands before an answer's own sink: holds the list until it is whole, and passes it on with limits. */
export class ModelLimits implements AnswerSink {
  readonly #sink: AnswerSink
  readonly #inputLimits: InputLimits
  readonly #head: boolean
  #held: { readonly rawHeaders: readonly Buffer[]; readonly statusText: string; readonly chunks: Buffer[] } | undefined
  #heldBytes = 0

  /** `head`: only headers come, of an answer whose bytes nobody sees. */
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

  /** Passes on what was held. `length`: of other bytes than the upstream's. */
  #release(chunks: readonly Buffer[], length?: number): void {
    if (this.#held === undefined) return
    const { rawHeaders, statusText } = this.#held
    this.#held = undefined
    this.#sink.onHeaders(200, length === undefined ? rawHeaders : withLength(rawHeaders, length), statusText)
    for (const bytes of chunks) if (bytes.length > 0) this.#sink.onData(bytes)
  }
}

/**
 * An answer to /v1/models with `max_input_tokens` in each model that has a limit to show: behind its last member, or in place of the value
 * that is there. The very same buffer comes back when nothing is to be changed, also when it is no such answer.
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
  // A card without members has no id, and so no limit.
  const last = start + (card.members.at(-1)?.end ?? 0)
  return { start: last, end: last, text: `,"${MEMBER}":${limit}` }
}

/** Whether the answer is JSON as it stands, in no coding. */
function isPlainJson(rawHeaders: readonly Buffer[]): boolean {
  const coding = rawHeaderIn(rawHeaders, 'content-encoding') ?? 'identity'
  const type = rawHeaderIn(rawHeaders, 'content-type')?.split(';', 1)[0]
  return type?.trim().toLowerCase() === 'application/json' && coding.trim().toLowerCase() === 'identity'
}

/** Without what is true of the upstream's bytes alone; with that length where it told one, or without any. */
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
