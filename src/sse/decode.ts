// Stages two and three of server-sent events: bytes of complete events to named events, and their data to JSON.

import { isObject, type JsonObject, parseJson } from '../base/json.ts'
import { endOfEvent, endOfEventByLf } from './frame.ts'

const CR = 0x0d
/** A stream may start with a byte order mark, which is not part of its first line. */
const BOM = Buffer.from('\ufeff')

export interface SseEvent {
  /** The `event:` field; absent if the stream does not name its events (chat completions). */
  readonly event?: string
  /** The `data:` lines, joined with LF. */
  readonly data: string
}

/** The bytes of each complete event, terminator included; a trailing incomplete event is excluded. */
export function splitEvents(bytes: Buffer): Buffer[] {
  const events: Buffer[] = []
  const endFrom = bytes.includes(CR) ? endOfEvent : endOfEventByLf
  let start = 0
  for (let end = endFrom(bytes, 0); end !== -1; end = endFrom(bytes, start)) {
    events.push(bytes.subarray(start, end))
    start = end
  }
  return events
}

/** Decodes one event; undefined for events without data (comments, keep-alives). */
export function decodeEvent(bytes: Buffer): SseEvent | undefined {
  let event: string | undefined
  const data: string[] = []
  for (const line of bytes.toString('utf8').split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(':')
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'data') data.push(value)
    else if (field === 'event') event = value
  }
  if (data.length === 0) return undefined
  return event === undefined ? { data: data.join('\n') } : { event, data: data.join('\n') }
}

/** The JSON objects of a whole stream, in order. `[DONE]`, comments and data that is not an object are skipped. */
export function decodeJsonEvents(bytes: Buffer): JsonObject[] {
  const objects: JsonObject[] = []
  const marked = bytes.subarray(0, BOM.length).equals(BOM)
  for (const raw of splitEvents(marked ? bytes.subarray(BOM.length) : bytes)) {
    const event = decodeEvent(raw)
    const value = event === undefined ? undefined : parseJson(event.data)
    if (isObject(value)) objects.push(value)
  }
  return objects
}
