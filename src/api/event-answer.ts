// Answers that are server-sent events: questions to windows. Failures are events, because the status is sent before they are known.

import { toCwmError } from '../base/errors.ts'
import { HEARTBEAT_MS } from '../base/event-stream.ts'
import { openAiErrorBody } from '../dialects/errors.ts'

/** The events that `work` sends, and `error` if it throws. Comments keep the connection open in between. */
export function eventsOf(
  work: (send: (event: string, data: object) => void) => Promise<void>,
  signal: AbortSignal,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  return new ReadableStream({
    async start(controller) {
      const write = (text: string) => {
        if (!signal.aborted) controller.enqueue(encoder.encode(text))
      }
      write(': asked\n\n')
      const heartbeat = setInterval(() => write(': waiting\n\n'), HEARTBEAT_MS)
      try {
        await work((event, data) => write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`))
      } catch (thrown) {
        write(`event: error\ndata: ${openAiErrorBody(toCwmError(thrown))}\n\n`)
      } finally {
        clearInterval(heartbeat)
        if (!signal.aborted) controller.close()
      }
    },
  })
}
