// Which member of a fleet gets work that is not placed yet, and which ones follow if it cannot be reached. Pure functions of the members' states.

import type { Member } from './member.ts'
import { ranked } from './rendezvous.ts'

/** Below this many requests of difference, load says nothing. */
const MIN_DIFFERENCE = 4
/** How much more load, relative to its weight, makes the second choice the better one. */
const CLEARLY_HIGHER = 2

/**
 * Where a new key is placed: the best of its ranking, or the second if the best has at least four requests more in flight, and more than
 * twice as many relative to its weight. Undefined if no member is open to work.
 */
export function firstPlacement(key: string, open: readonly Member[]): Member | undefined {
  const shares = open.map((member) => ({ id: member.id, weight: member.currentWeight, member }))
  const [best, second] = ranked(key, shares).map(({ member }) => member)
  if (best === undefined || second === undefined) return best
  if (second.currentWeight === 0 || best.inFlight - second.inFlight < MIN_DIFFERENCE) return best
  return loadOf(best) > CLEARLY_HIGHER * loadOf(second) ? second : best
}

/** The least loaded member relative to its weight. `turn` is different for each call: among equals, each has its turn. */
export function leastLoaded(open: readonly Member[], turn: number): Member | undefined {
  const from = open.length === 0 ? 0 : turn % open.length
  let best: Member | undefined
  for (const member of [...open.slice(from), ...open.slice(0, from)]) {
    if (best === undefined || loadOf(member) < loadOf(best)) best = member
  }
  return best
}

/**
 * The members in the order in which they get work of a key: those open to work as the key ranks them, then draining ones, then those that
 * are down, so that the error of one gives the reason. Members that do not list the model are left out, unless none does.
 */
export function inOrder(key: string, members: readonly Member[], model: string | undefined): readonly Member[] {
  const able = ableTo(members, model)
  const byKey = ranked(key, able)
  return byKey.toSorted((a, b) => classOf(a) - classOf(b))
}

/** The members that list the model, or may. All of them, if none does: the engine then answers that it has no such model. */
export function ableTo(members: readonly Member[], model: string | undefined): readonly Member[] {
  const able = members.filter((member) => member.mayServe(model))
  return able.length === 0 ? members : able
}

function classOf(member: Member): number {
  if (member.isOpen) return 0
  return member.state === 'draining' ? 1 : 2
}

/** Without weight it has the highest load, so it gets work only if no other member can. */
function loadOf({ inFlight, currentWeight }: Member): number {
  return currentWeight === 0 ? Number.POSITIVE_INFINITY : inFlight / currentWeight
}
