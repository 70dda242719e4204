// Loaded into cwm before all else: measures, while it is asked to, the CPU time of the main thread between two rounds of the event loop.

import { openSync, readSync } from 'node:fs'

const NANOSECONDS = 1e6
const stat = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r')
const bytes = Buffer.alloc(64)

/** Milliseconds of CPU that the main thread has had. */
function threadMs() {
  const length = readSync(stat, bytes, 0, bytes.length, 0)
  return Number.parseInt(bytes.latin1Slice(0, length), 10) / NANOSECONDS
}

let running = false
let longest = 0
let last = 0

// It spins: a round ends as soon as it can, and what it took is one piece of work.
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
// cwm ends by its own signals, not by whether somebody listens.
process.channel?.unref()
