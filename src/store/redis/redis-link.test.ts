import { once } from 'node:events'
import { connect } from 'node:net'
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, it } from 'vitest'
import { deadline } from './redis-link.ts'

/** A server in a thread of its own, which answers while this thread is stalled, and says so in shared memory. */
const SERVER = `
const { parentPort, workerData } = require('node:worker_threads')
const { createServer } = require('node:net')
const answered = new Int32Array(workerData)
const server = createServer((socket) => {
  socket.on('error', () => {})
  socket.on('data', () => socket.write('+PONG', () => {
    Atomics.store(answered, 0, 1)
    Atomics.notify(answered, 0)
  }))
})
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`

describe('deadline', () => {
  let worker: Worker | undefined
  afterEach(() => worker?.terminate())

  it('takes an answer that arrived while the process was stalled beyond the timeout', async () => {
    const answered = new Int32Array(new SharedArrayBuffer(4))
    worker = new Worker(SERVER, { eval: true, workerData: answered.buffer })
    const [port] = (await once(worker, 'message')) as [number]
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const answer = once(socket, 'data').then(([data]) => String(data))

    socket.write('PING')
    const outcome = deadline(answer, 20)
    expect(Atomics.wait(answered, 0, 0, 10_000)).not.toBe('timed-out')
    stall(30)

    await expect(outcome).resolves.toBe('+PONG')
    socket.destroy()
  })

  it('gives up when there is no answer', async () => {
    await expect(deadline(new Promise(() => {}), 1)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringContaining('1 ms'),
    })
  })
})

function stall(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
