// Events to a client that does not read, over a real socket: what cwm holds for it is bounded, and goes when it goes.

import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { OpenAPIHono } from '@hono/zod-openapi'
import { expect, it } from 'vitest'
import { until } from '../../test/support/deadline.ts'
import { silentLogger } from '../base/logger.ts'
import { createMetrics } from '../base/metrics.ts'
import { EventLog, type EventLogParts } from '../journal/events.ts'
import type { Bindings } from './bindings.ts'
import { mountEvents } from './events.ts'

/** More than any socket's buffers take: 4 KB each, without end. */
function endlessStore() {
  const told = { pages: 0 }
  const store = {
    listEvents: async (_tenant: string | undefined, after: string, atMost: number) => {
      told.pages += 1
      const events = Array.from({ length: atMost }, (_, n) => ({
        id: String(Number(after) + n + 1),
        tenant: 'acme',
        kind: 'truncated' as const,
        at: 0,
        details: { text: 'x'.repeat(4096) },
      }))
      return { events, missed: false, cursor: String(Number(after) + atMost) }
    },
    eventIdNow: async () => '0',
    onChange: () => () => {},
  } as unknown as EventLogParts['store']
  return { store, told }
}

it('reads nothing more for a client that reads nothing, and frees its place when it leaves', async () => {
  const { store, told } = endlessStore()
  const log = new EventLog({ store, metrics: createMetrics(), log: silentLogger, now: () => 0, keep: 10 })
  const app = new OpenAPIHono<Bindings>()
  mountEvents(app, {
    events: log,
    now: () => 0,
    tenantInView: () => 'acme',
    sharerInView: () => undefined,
    watchKeys: () => () => {},
  })
  const answers: ServerResponse[] = []
  const listener = getRequestListener(app.fetch)
  const server = createServer((request, response) => {
    answers.push(response)
    void listener(request, response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const clients = Array.from({ length: 16 }, () => {
    const client = connect(port, '127.0.0.1').pause()
    client.write('GET /cwm/v1/events HTTP/1.1\r\nhost: x\r\n\r\n')
    return client
  })

  await until('every socket is full', () => answers.length === 16 && answers.every((one) => one.writableNeedDrain))
  const pagesWhenFull = told.pages
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)

  // The system may have taken a little more meanwhile.
  expect(told.pages - pagesWhenFull).toBeLessThanOrEqual(16)
  for (const answer of answers) expect(answer.writableLength).toBeLessThan(2 * 100 * 5000)
  await expect(log.subscribe('acme', '0', new AbortController().signal)).rejects.toMatchObject({ code: 'BUSY' })

  for (const client of clients) client.destroy()

  await until('there is room again', () =>
    log.subscribe('acme', '0', AbortSignal.abort()).then(
      () => true,
      () => false,
    ),
  )
  log.closeSubscriptions()
  server.close()
})
