// Preloaded into cwm: on request, measures the main thread's CPU time between two iterations of the event loop.

import { openSync, readSync } from 'node:fs'

const NANOSECONDS = 1e6
const stat = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r')
const bytes = Buffer.alloc(64)

/** The main thread's CPU time so far, in milliseconds. */
function threadMs() {
  const length = readSync(stat, bytes, 0, bytes.length, 0)
  return Number.parseInt(bytes.latin1Slice(0, length), 10) / NANOSECONDS
}

let running = false
let longest = 0
let last = 0

// It spins: each iteration ends as soon as possible, so its CPU time is that of one piece of work.
function look() {
  const now = threadMs()
  longest = Math.max(longest, now - last)
  last = now
  if (running) setImmediate(look)
}

process.on('message', (word) => {
  running = word === 'start'
  if (running) {
    longest = 0
    last = threadMs()
    setImmediate(look)
    process.send({})
    return
  }
  process.send({ holdMs: longest })
})
// This listener must not keep cwm from exiting.
process.channel?.unref()
