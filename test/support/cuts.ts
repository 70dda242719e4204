// Splits bytes into pieces at chosen offsets, as a network might.

import type { ServerResponse } from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'

/** The pieces between these offsets, in order. Offsets beyond the end count as the end. Some pieces may be empty. */
export function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const edges = [0, ...places.map((place) => Math.min(place, bytes.length)).sort((a, b) => a - b), bytes.length]
  return edges.slice(1).map((end, i) => bytes.subarray(edges[i], end))
}

/** Writes the pieces one by one, each after the previous one was flushed. */
export async function writePieces(response: ServerResponse, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    await new Promise<void>((resolve) => response.write(piece, () => resolve()))
    await turn()
  }
}
