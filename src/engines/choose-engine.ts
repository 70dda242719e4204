// Chooses the member of a fleet for work that is not placed yet, and the order of failover. Pure functions of the members' states.

import type { Member } from './member.ts'
import { ranked } from './rendezvous.ts'

/** Smaller differences of requests in flight are ignored. */
const MIN_DIFFERENCE = 4
/** The second choice wins if the load of the first, relative to its weight, is more than this many times higher. */
const CLEARLY_HIGHER = 2

/**
 * Where a new key is placed: the best of its ranking, or the second if the best has at least four requests more in flight, and more than
 * twice as many relative to its weight. Undefined without candidates.
 */
export function firstPlacement(key: string, candidates: readonly Member[]): Member | undefined {
  const shares = candidates.map((member) => ({ id: member.id, weight: member.currentWeight, member }))
  const [best, second] = ranked(key, shares).map(({ member }) => member)
  if (best === undefined || second === undefined) return best
  if (second.currentWeight === 0 || best.inFlight - second.inFlight < MIN_DIFFERENCE) return best
  return loadOf(best) > CLEARLY_HIGHER * loadOf(second) ? second : best
}

/** The least loaded member relative to its weight. `turn` must differ from call to call, so that equal members take turns. */
export function leastLoaded(candidates: readonly Member[], turn: number): Member | undefined {
  const from = candidates.length === 0 ? 0 : turn % candidates.length
  let best: Member | undefined
  for (const member of [...candidates.slice(from), ...candidates.slice(0, from)]) {
    if (best === undefined || loadOf(member) < loadOf(best)) best = member
  }
  return best
}

/**
 * The members in the order in which they are tried for a key: those that accept work by their rank, then draining ones, then those that are
 * down, so that a request fails with the error of an engine. Members that do not list the model are left out, unless none does.
 */
export function rankMembers(key: string, members: readonly Member[], model: string | undefined): readonly Member[] {
  const able = thatServe(members, model)
  const byKey = ranked(key, able)
  return byKey.toSorted((a, b) => classOf(a) - classOf(b))
}

/** The members that list the model, or whose list is unknown. If there are none: all, so that an engine answers that the model is unknown. */
export function thatServe(members: readonly Member[], model: string | undefined): readonly Member[] {
  const able = members.filter((member) => member.mayServe(model))
  return able.length === 0 ? members : able
}

function classOf(member: Member): number {
  if (member.acceptsWork) return 0
  return member.state === 'draining' ? 1 : 2
}

/** A weight of 0 counts as the highest load, so such a member receives work only if no other member can. */
function loadOf({ inFlight, currentWeight }: Member): number {
  return currentWeight === 0 ? Number.POSITIVE_INFINITY : inFlight / currentWeight
}
