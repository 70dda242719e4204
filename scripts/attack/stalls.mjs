// How long cwm's event loop may be blocked, and how long it was: each stall with the largest body in flight at that time.

const MIB = 1024 * 1024
const BASE_MS = 150
const BASE_BYTES = 4 * MIB
const MS_PER_MIB = 25

/** How long a body of this decompressed size may block the event loop, milliseconds. */
export function allowedStallMs(bytes) {
  return BASE_MS + (Math.max(0, bytes - BASE_BYTES) / MIB) * MS_PER_MIB
}

/** The longest stalls of a run. */
export class Stalls {
  /** The longest stall, and the one with the highest ratio to its limit. */
  longest = { stallMs: 0, cpuMs: 0, bytes: 0 }
  nearest = { stallMs: 0, cpuMs: 0, bytes: 0 }
  over = 0

  /** Adds the longest stall of a time span, and the largest body in flight in it. */
  add({ stallMs, cpuMs }, bytes) {
    const stall = { stallMs, cpuMs, bytes }
    if (stallMs > this.longest.stallMs) this.longest = stall
    if (shareOf(stall) > shareOf(this.nearest)) this.nearest = stall
    if (shareOf(stall) > 1) this.over++
  }
}

/** Measured by CPU time, because on a busy machine the rest is waiting for the CPU. */
const shareOf = ({ stallMs, cpuMs, bytes }) => Math.min(stallMs, cpuMs) / allowedStallMs(bytes)
