// Preloaded into cwm: measures how long its event loop is blocked, and reports it over IPC on request.

/** Interval between two readings of the clock, milliseconds. A late reading is a stall. */
const RESOLUTION_MS = 5
const MICROSECONDS = 1e3

let last = performance.now()
let lastCpu = process.cpuUsage()
/** `cpuMs`: CPU time of the process in that span. It distinguishes a stall caused by cwm from waiting for a CPU or the disk. */
let longest = { stallMs: 0, cpuMs: 0 }

function look() {
  const now = performance.now()
  const cpu = process.cpuUsage()
  const stallMs = now - last - RESOLUTION_MS
  if (stallMs > longest.stallMs) {
    longest = { stallMs, cpuMs: (cpu.user + cpu.system - lastCpu.user - lastCpu.system) / MICROSECONDS }
  }
  last = now
  lastCpu = cpu
}
setInterval(look, RESOLUTION_MS).unref()

process.on('message', () => {
  process.send(longest)
  longest = { stallMs: 0, cpuMs: 0 }
})
// The IPC channel must not keep cwm alive.
process.channel?.unref()
