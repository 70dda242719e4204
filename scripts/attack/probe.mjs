// Loaded into cwm before all else: measures how long its event loop stands still, and says so when asked over IPC.

/** Milliseconds between two looks at the clock; what a look is late by is a stall. */
const RESOLUTION_MS = 5
const MICROSECONDS = 1e3

let last = performance.now()
let lastCpu = process.cpuUsage()
/** `cpuMs`: CPU time of the process in that span, which tells a stall of cwm's own from a wait for the processor or the disk. */
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
// cwm ends by its own signals, not by whether somebody listens.
process.channel?.unref()
