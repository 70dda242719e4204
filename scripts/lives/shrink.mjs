// Shortens a life that ended in a fault: first to the actions that the last one depends on, then by leaving out parts of what remains.

/** The names that an action reads or writes. */
function namesOf(action) {
  const { session, window, source, thaw, freeze } = action
  const windows = [window, source, thaw, freeze].filter((name) => name !== undefined).map((name) => `window ${name}`)
  return session === undefined ? windows : [`session ${session}`, ...windows]
}

/** The actions that can have to do with the last one: those of its session and windows, of what these came from, and restarts. */
export function relevantOf(actions) {
  const names = new Set(namesOf(actions.at(-1)))
  const kept = []
  for (const action of actions.toReversed()) {
    const own = namesOf(action)
    if (action.act !== 'restart' && !own.some((name) => names.has(name))) continue
    kept.push(action)
    for (const name of own) names.add(name)
  }
  return kept.toReversed()
}

/**
 * A short life that still fails. `fails(actions)` resolves to true if that life ends in a fault. Ends after `ms`, with the shortest found so
 * far; the whole life, if nothing shorter fails.
 */
export async function shrink(actions, fails, ms) {
  const end = performance.now() + ms
  const relevant = relevantOf(actions)
  let shortest = relevant.length < actions.length && (await fails(relevant)) ? relevant : actions
  for (let size = Math.ceil(shortest.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < shortest.length && performance.now() < end; ) {
      const without = shortest.toSpliced(at, size)
      if (without.length > 0 && (await fails(without))) shortest = without
      else at += size
    }
  }
  return shortest
}
