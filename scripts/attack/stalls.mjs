// How long cwm's event loop may stand still, and how long it did: each stall beside the largest body that was under way in its time.

const MIB = 1024 * 1024
const BASE_MS = 150
const BASE_BYTES = 4 * MIB
const MS_PER_MIB = 25

/** Milliseconds for which a body of this size, unpacked, may hold the event loop. */
export function allowedStallMs(bytes) {
  return BASE_MS + (Math.max(0, bytes - BASE_BYTES) / MIB) * MS_PER_MIB
}

/** The longest stalls of a run. */
export class Stalls {
  /** The longest of all, and the one that comes nearest to its bound or is furthest over it. */
  longest = { stallMs: 0, cpuMs: 0, bytes: 0 }
  nearest = { stallMs: 0, cpuMs: 0, bytes: 0 }
  over = 0

  /** The longest stall of a span of time, and the largest body that was under way in it. */
  add({ stallMs, cpuMs }, bytes) {
    const stall = { stallMs, cpuMs, bytes }
    if (stallMs > this.longest.stallMs) this.longest = stall
    if (shareOf(stall) > shareOf(this.nearest)) this.nearest = stall
    if (shareOf(stall) > 1) this.over++
  }
}

/** By what of it was on the CPU: on a busy machine the rest is a wait for the processor. */
const shareOf = ({ stallMs, cpuMs, bytes }) => Math.min(stallMs, cpuMs) / allowedStallMs(bytes)
