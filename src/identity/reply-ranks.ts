// Decides which replies of a history are looked for and kept: all of the newest, then fewer and fewer, at ordinals that stay the same as
// the history grows. An edit anywhere then still leads to the session that holds everything before it.

/** How many of the newest replies are looked for: enough for the edit or the regeneration of a late turn. */
const NEWEST_REPLIES = 8
/** How many multiples of each step are looked for, the largest first. */
const PER_STEP = 8
/** Each step has the ordinals that are multiples of it. */
const STEPS = [8, 64, 512, 4096]
/** Ordinals before the first step. The first reply is enough to find the session; the engine itself finds how far the cached prefix reaches. */
const EARLY = [4, 2, 1]

/** The rank of the first reply, and that of the others before the first step. */
const FIRST_RANK = 9
const EARLY_RANK = 8
/** The rank of a first turn before any reply; see openings.ts. */
export const OPENING_RANK = 10

/**
 * The rank of the reply with that ordinal (1: the first): 0 for most, 1 for multiples of 8, 2 for multiples of 64, and so on; the first
 * few have ranks of their own. In the store a reply displaces only older ones of its own rank, so those above rank 0 last longer.
 */
export function rankOfReply(ordinal: number): number {
  if (ordinal === 1) return FIRST_RANK
  if (EARLY.includes(ordinal)) return EARLY_RANK
  let rank = 0
  while (rank < STEPS.length && ordinal % (STEPS[rank] ?? 0) === 0) rank++
  return rank
}

/** Returns which ordinals are looked for in a history of so many replies: about thirty of a thousand. */
export function repliesLookedFor(replies: number): (ordinal: number) => boolean {
  const newest = replies - NEWEST_REPLIES
  if (newest <= 0) return () => true
  const older = new Set(EARLY)
  for (const step of STEPS) {
    const last = newest - (newest % step)
    for (let ordinal = last; ordinal > 0 && ordinal > last - PER_STEP * step; ordinal -= step) older.add(ordinal)
  }
  return (ordinal) => ordinal > newest || older.has(ordinal)
}
