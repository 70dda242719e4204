// Which replies of a history are looked for, and how long a session keeps them: all of the newest, then fewer and fewer, at ordinals that
// stay the same as the history grows. So an edit anywhere leads back to the session that holds what stands before it.

/** How many of the newest replies are looked for: enough for the edit or the regeneration of a late turn. */
const NEWEST_REPLIES = 8
/** Of the multiples of each step, so many of the largest are looked for. */
const PER_STEP = 8
/** Each step has the ordinals that are multiples of it. */
const STEPS = [8, 64, 512, 4096]
/** Ordinals before the first step. Whoever finds the first reply has found the session: the engine itself knows how far the rest goes. */
const EARLY = [4, 2, 1]

/** The rank of the first reply, and that of the others before the first step. */
const FIRST_RANK = 9
const EARLY_RANK = 8
/** The rank of a first turn by itself, before any reply: see openings.ts. */
export const OPENING_RANK = 10

/**
 * The rank of the reply with that ordinal (1: the first): 0 for most, 1 for multiples of 8, 2 for multiples of 64, and so on; the first
 * few have ranks of their own. Replies make room in the store for those of their own rank alone, so the ranks above 0 live on.
 */
export function rankOfReply(ordinal: number): number {
  if (ordinal === 1) return FIRST_RANK
  if (EARLY.includes(ordinal)) return EARLY_RANK
  let rank = 0
  while (rank < STEPS.length && ordinal % (STEPS[rank] ?? 0) === 0) rank++
  return rank
}

/** Whether a reply is looked for in a history of so many replies, by its ordinal. Some thirty are, of a thousand. */
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
