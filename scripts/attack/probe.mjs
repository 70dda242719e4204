// Loaded into cwm before all else: measures how long its event loop stands still, and says so when asked over IPC.

import { monitorEventLoopDelay } from 'node:perf_hooks'

/** Milliseconds between two looks of the timer that measures; what it is late by is the stall. */
const RESOLUTION_MS = 5
const NANOSECONDS = 1e6

const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
delays.enable()

process.on('message', () => {
  const longest = delays.max / NANOSECONDS - RESOLUTION_MS
  delays.reset()
  process.send({ stallMs: Math.max(0, longest) })
})
// cwm ends by its own signals, not by whether somebody listens.
process.channel?.unref()
