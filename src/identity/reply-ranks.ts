// Decides which replies of a history are looked up and stored: all of the newest, then ever fewer, at ordinals that do not change as the
// history grows. So an edit anywhere still leads to the session that holds everything before it.

/** How many of the newest replies are looked up: enough for an edit or regeneration of a late turn. */
const NEWEST_REPLIES = 8
/** How many multiples of each step are looked up, largest first. */
const PER_STEP = 8
/** Each step covers the ordinals that are its multiples. */
const STEPS = [8, 64, 512, 4096]
/** Ordinals before the first step. The first reply suffices to find the session; the engine itself finds how far the cached prefix reaches. */
const EARLY = [4, 2, 1]

/** The rank of the first reply, and that of the others before the first step. */
const FIRST_RANK = 9
const EARLY_RANK = 8
/** The rank of a first turn before any reply; see openings.ts. */
export const OPENING_RANK = 10

/**
 * The rank of the reply with that ordinal, from 1: 0 for most, 1 for multiples of 8, 2 for multiples of 64, and so on; the first few have
 * separate ranks. In the store a reply displaces only older ones of its own rank, so those above rank 0 last longer.
 */
export function rankOfReply(ordinal: number): number {
  if (ordinal === 1) return FIRST_RANK
  if (EARLY.includes(ordinal)) return EARLY_RANK
  let rank = 0
  while (rank < STEPS.length && ordinal % (STEPS[rank] ?? 0) === 0) rank++
  return rank
}

/** Returns a predicate for the ordinals to look up in a history of that many replies: about thirty of a thousand. */
export function lookedUpReplies(replies: number): (ordinal: number) => boolean {
  const newest = replies - NEWEST_REPLIES
  if (newest <= 0) return () => true
  const older = new Set(EARLY)
  for (const step of STEPS) {
    const last = newest - (newest % step)
    for (let ordinal = last; ordinal > 0 && ordinal > last - PER_STEP * step; ordinal -= step) older.add(ordinal)
  }
  return (ordinal) => ordinal > newest || older.has(ordinal)
}
