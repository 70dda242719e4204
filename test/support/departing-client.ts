// A client on a raw socket that sends, does not read, and disconnects when a test says so.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { ask } from './client.ts'

/** Sends bytes on a new connection. */
export async function sendOn(url: string, text: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(text)
  return socket
}

/** A request in wire format. */
export function post(path: string, body: object): string {
  const text = JSON.stringify(body)
  const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}`
  return `${head}\r\n\r\n${text}`
}

/** The sum of a metric over all labels; 0 if it is absent. */
export async function metricOf(url: string, name: string): Promise<number> {
  const { text } = await ask(url, '/cwm/metrics')
  const lines = text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)`, 'gm'))
  return [...lines].reduce((sum, [, value]) => sum + Number(value), 0)
}
