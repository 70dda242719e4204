// An upstream whose accept queue can be filled. The system then answers no SYN, so that connections to it stay half open.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { until, within } from './deadline.ts'

// It runs in a worker thread that can be blocked, because Node accepts connections whenever it can.
const LISTENER = `
const { createServer } = require('node:http')
const { parentPort, workerData } = require('node:worker_threads')
const server = createServer((request, response) => {
  const chunks = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => {
    parentPort.postMessage({ body: Buffer.concat(chunks).toString() })
    response.writeHead(200, { 'content-type': 'application/json', connection: 'close' })
    response.end('{"choices":[]}')
  })
})
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => parentPort.postMessage({ port: server.address().port }))
parentPort.on('message', () => {
  parentPort.postMessage({ blocked: true })
  Atomics.wait(new Int32Array(workerData), 0, 0)
  Atomics.store(new Int32Array(workerData), 0, 0)
})
`

interface Told {
  readonly port?: number
  readonly blocked?: true
  readonly body?: string
}

export class BlockedListener {
  /** Bodies of the received requests, oldest first. Each is answered, and its connection closed. */
  readonly bodies: string[] = []
  readonly url: string
  readonly #worker: Worker
  readonly #flag: SharedArrayBuffer
  readonly #port: number
  #fillers: Socket[] = []

  private constructor(worker: Worker, flag: SharedArrayBuffer, port: number) {
    this.#worker = worker
    this.#flag = flag
    this.#port = port
    this.url = `http://127.0.0.1:${port}`
    worker.on('message', ({ body }: Told) => {
      if (body !== undefined && body !== '') this.bodies.push(body)
    })
  }

  static async start(): Promise<BlockedListener> {
    const flag = new SharedArrayBuffer(4)
    const worker = new Worker(LISTENER, { eval: true, workerData: flag })
    const [{ port = 0 }] = (await within('the listener listens', once(worker, 'message'))) as [Told]
    return new BlockedListener(worker, flag, port)
  }

  /** Stops accepting connections, and fills the queue. */
  async block(): Promise<void> {
    const blocked = within('the listener stands still', once(this.#worker, 'message'))
    this.#worker.postMessage('block')
    await blocked
    this.#fillers = Array.from({ length: 8 }, () => connect(this.#port, '127.0.0.1').on('error', () => {}))
    await until('the queue holds what it can', () => this.#fillers.some(({ connecting }) => !connecting))
    if (!this.#fillers.some(({ connecting }) => connecting))
      throw new Error('this system queues more than was asked for')
  }

  /** Accepts connections again. Waiting ones succeed when the system retries the SYN, within a second. */
  release(): void {
    for (const filler of this.#fillers) filler.destroy()
    Atomics.store(new Int32Array(this.#flag), 0, 1)
    Atomics.notify(new Int32Array(this.#flag), 0)
  }

  async close(): Promise<void> {
    this.release()
    await this.#worker.terminate()
  }
}
