// Bytes in pieces, as a network gives them: cut at chosen places, wherever these are.

import type { ServerResponse } from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'

/** The pieces between these places, in order; places behind the end are the end. Some pieces may be empty. */
export function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const edges = [0, ...places.map((place) => Math.min(place, bytes.length)).sort((a, b) => a - b), bytes.length]
  return edges.slice(1).map((end, i) => bytes.subarray(edges[i], end))
}

/** Writes the pieces one by one, each when the one before has left this process. */
export async function writePieces(response: ServerResponse, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    await new Promise<void>((resolve) => response.write(piece, () => resolve()))
    await turn()
  }
}
