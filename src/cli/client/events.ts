// Reads a response that is a stream of server-sent events.

import { decodeEvent, type SseEvent, splitEvents } from '../../sse/decode.ts'

/** The events as they arrive, without comments. Throws if the connection breaks. */
export async function* eventsOf(response: Response): AsyncGenerator<SseEvent> {
  let rest = Buffer.alloc(0)
  for await (const bytes of response.body ?? []) {
    rest = Buffer.concat([rest, bytes])
    let used = 0
    for (const whole of splitEvents(rest)) {
      used += whole.length
      const event = decodeEvent(whole)
      if (event !== undefined) yield event
    }
    rest = rest.subarray(used)
  }
}
