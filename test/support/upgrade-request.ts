// Requests with a protocol upgrade, as Java's HTTP client and `curl --http2` send them.

import { Buffer } from 'node:buffer'

/** What Java's `java.net.http.HttpClient` adds to each request on a connection without TLS. */
export const H2C = 'Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\nUpgrade: h2c\r\n'

/** The start of a WebSocket handshake (RFC 6455, 4.1), without the blank line. */
export function handshake(path: string, upgrade = 'websocket'): string {
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\n${key}`
}

export interface RawRequest {
  readonly method?: string
  /** Header lines, each with its line end. */
  readonly headers?: string
  /** How the body is framed; 'chunked' splits it into chunks of 7 bytes. */
  readonly framing?: 'length' | 'chunked'
}

/** A request with a JSON body in wire format. */
export function rawRequest(path: string, body: object, options: RawRequest = {}): string {
  const { method = 'POST', headers = '', framing = 'length' } = options
  const text = JSON.stringify(body)
  const head = `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${headers}`
  if (framing === 'length') return `${head}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
  const chunks = text.match(/.{1,7}/gs) ?? []
  const framed = chunks.map((chunk) => `${Buffer.byteLength(chunk).toString(16)}\r\n${chunk}\r\n`)
  return `${head}Transfer-Encoding: chunked\r\n\r\n${framed.join('')}0\r\n\r\n`
}
