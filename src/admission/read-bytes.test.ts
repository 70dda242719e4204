// Bodies are received within limits: of size, also before a byte has come.

import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { HEADROOM_BYTES, readBytes } from './read-bytes.ts'

describe('readBytes', () => {
  const closers: (() => void)[] = []
  afterEach(() => {
    for (const close of closers.splice(0)) close()
  })

  /** What readBytes makes of one request. `send` writes it on a socket. */
  async function read(maxBytes: number, send: (port: number) => void): Promise<string> {
    return await new Promise((resolve) => {
      const server = createServer((request: IncomingMessage, response) => {
        readBytes(request, { maxBytes }).then(
          (bytes) => resolve(`${bytes.length} bytes`),
          (thrown: unknown) => resolve(thrown instanceof CwmError ? thrown.code : 'another error'),
        )
        request.once('close', () => response.destroy())
      })
      closers.push(() => {
        server.closeAllConnections()
        server.close()
      })
      server.listen(0, '127.0.0.1', () => send((server.address() as AddressInfo).port))
    })
  }

  function post(headers: Record<string, string>, chunks: readonly Buffer[]) {
    return (port: number) => {
      const request = httpRequest({ port, host: '127.0.0.1', method: 'POST', headers })
      request.on('error', () => {})
      for (const chunk of chunks) request.write(chunk)
      request.end()
    }
  }

  function raw(text: string, end: boolean) {
    return (port: number) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.write(text)
        if (end) socket.end()
      })
      socket.on('error', () => {})
      closers.push(() => socket.destroy())
    }
  }

  it('reads a body of exactly the bound, with a length or chunked', async () => {
    expect(await read(1000, post({ 'content-length': '1000' }, [Buffer.alloc(1000)]))).toBe('1000 bytes')
    expect(await read(1000, post({}, [Buffer.alloc(400), Buffer.alloc(600)]))).toBe('1000 bytes')
  })

  it('refuses by the announced length before a byte has come', async () => {
    expect(await read(1000, raw('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n', false))).toBe(
      'BODY_TOO_LARGE',
    )
  })

  it('refuses a chunked body as soon as it is past the bound, although it has not ended', async () => {
    const head = 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n'

    expect(await read(1000, raw(`${head}3e9\r\n${'x'.repeat(1001)}\r\n`, false))).toBe('BODY_TOO_LARGE')
  })

  it('says that the client is gone when the body ends before its length', async () => {
    expect(await read(1000, raw('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc', true))).toBe(
      'CLIENT_GONE',
    )
  })

  it('keeps bytes in order while its buffer grows, and room before them', async () => {
    const sent = Buffer.alloc(3_000_000, 'the quick brown fox ')
    for (const headers of [{ 'content-length': String(sent.length) }, {}] as Record<string, string>[]) {
      const received = await new Promise<Buffer>((resolve, reject) => {
        const server = createServer((request) => {
          readBytes(request, { maxBytes: 4_000_000 }).then(resolve, reject)
        })
        closers.push(() => {
          server.closeAllConnections()
          server.close()
        })
        server.listen(0, '127.0.0.1', () => post(headers, [sent])((server.address() as AddressInfo).port))
      })

      expect(received.equals(sent)).toBe(true)
      expect(received.byteOffset).toBe(HEADROOM_BYTES)
    }
  })

  it('leaves the event loop to others after each 256 KiB, however fast the body comes', async () => {
    const pauses = await new Promise<number>((resolve, reject) => {
      let paused = 0
      const server = createServer((request) => {
        request.on('pause', () => paused++)
        readBytes(request, { maxBytes: 4_000_000 }).then(() => resolve(paused), reject)
      })
      closers.push(() => {
        server.closeAllConnections()
        server.close()
      })
      server.listen(0, '127.0.0.1', () => post({}, [Buffer.alloc(3_000_000)])((server.address() as AddressInfo).port))
    })

    // At most 64 KiB come with each chunk.
    expect(pauses).toBeGreaterThanOrEqual(Math.floor(3_000_000 / (320 * 1024)))
  })

  it('reads an empty body as no bytes', async () => {
    expect(await read(1000, post({ 'content-length': '0' }, []))).toBe('0 bytes')
  })
})
