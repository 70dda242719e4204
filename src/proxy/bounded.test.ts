// A body that passes unread, on a socket: how it breaks is what the request is answered and logged by.

import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import type { Readable } from 'node:stream'
import { expect, it } from 'vitest'
import { bounded } from './body.ts'

// Node says `ECONNRESET, aborted`: an error of nobody's, which would be logged as one of cwm's own.
it('says that the client is gone when the client resets the connection', async () => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc')
  const [request] = (await once(server, 'request')) as [IncomingMessage]
  const body: Readable = bounded(request, 1000)
  await once(body, 'data')

  socket.resetAndDestroy()

  const [error] = (await once(body, 'error').catch((thrown: unknown) => [thrown])) as [unknown]
  expect(error).toMatchObject({ code: 'CLIENT_GONE' })
  server.close()
})
