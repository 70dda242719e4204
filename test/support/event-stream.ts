// A client of `GET /cwm/v1/events`: the received events, in order, and how the stream ended.

import { request as httpRequest, type IncomingMessage } from 'node:http'
import { until, within } from './deadline.ts'

export interface HeardEvent {
  readonly id: string | undefined
  readonly event: string
  readonly data: Record<string, unknown>
}

export interface Ear {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  /** All events received so far. */
  readonly heard: readonly HeardEvent[]
  /** The id that a browser would send as `Last-Event-ID`. */
  lastId(): string | undefined
  /** Waits for this many events, and returns them. */
  events(count: number): Promise<readonly HeardEvent[]>
  /** Resolves when the stream ends, with whether it ended cleanly. */
  ended(): Promise<boolean>
  leave(): void
}

/** Connects, and resolves when the stream has started. */
export function listen(url: string, headers: Record<string, string> = {}, query = ''): Promise<Ear> {
  const { hostname, port } = new URL(url)
  const opened = new Promise<Ear>((resolve, reject) => {
    const path = `/cwm/v1/events${query}`
    const request = httpRequest({ hostname, port, path, headers, agent: false }, (response) => {
      const heard: HeardEvent[] = []
      let rest = ''
      let lastId: string | undefined
      let begun = false
      const end = new Promise<boolean>((over) => response.on('close', () => over(response.complete)))
      const ear: Ear = {
        status: response.statusCode ?? 0,
        headers: response.headers,
        heard,
        lastId: () => lastId,
        events: (count) => until(`${count} events are heard`, () => heard.length >= count && heard, 10_000),
        ended: () => within('the stream ends', end),
        leave: () => request.destroy(),
      }
      response.setEncoding('utf8').on('data', (text: string) => {
        const blocks = (rest + text).split('\n\n')
        rest = blocks.pop() ?? ''
        for (const block of blocks) {
          const fields = new Map(
            block.split('\n').map((line) => [line.split(': ')[0], line.slice(line.indexOf(': ') + 2)]),
          )
          lastId = fields.get('id') ?? lastId
          const [event, data] = [fields.get('event'), fields.get('data')]
          if (event === undefined || data === undefined) continue
          heard.push({ id: fields.get('id'), event, data: JSON.parse(data) as Record<string, unknown> })
        }
        if (!begun) resolve(ear)
        begun = true
      })
      response.on('error', () => {})
    })
    request.on('error', reject)
    request.end()
  })
  return within('a stream of events begins', opened)
}
