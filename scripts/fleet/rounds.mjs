// Rounds: each conversation takes one turn, in random order, some at once. Something may happen in the middle of a round.

import { Draw } from '../random.mjs'

const AT_ONCE = 32

/**
 * `middle()` runs once half of the turns have begun; it does not hold the others up. Resolves when all turns and `middle` have ended. Rejects with
 * the first error.
 */
export async function takeRound(conversations, { seed, middle = async () => {}, sticky = false, only = () => true }) {
  const waiting = shuffled(conversations.all.filter(only), new Draw(seed))
  const half = Math.floor(waiting.length / 2)
  let happening
  const client = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (waiting.length <= half && happening === undefined) {
        happening = middle()
        // Awaited below, when the turns have ended.
        happening.catch(() => {})
      }
      await conversations.turn(next, sticky)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, client))
  await happening
}

function shuffled(list, draw) {
  for (let at = list.length - 1; at > 0; at--) {
    const other = draw.below(at + 1)
    const kept = list[at]
    list[at] = list[other]
    list[other] = kept
  }
  return list
}
