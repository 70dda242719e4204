// Sessions that changed their engine over each event, against the bound: a share of 1/n, plus three sigma. Pure; `run` as in judge.mjs.

import { wasSlow, wasUnseen } from './slow.mjs'

const SIGMAS = 3

/** The largest count that is no surprise if each of `count` sessions moves with the probability 1/`engines`. */
export function boundOf(count, engines) {
  const share = 1 / engines
  return count * share + SIGMAS * Math.sqrt(count * share * (1 - share))
}

/**
 * For each event `{ name, compared, moved, strays, stayed, bound }`. Compared are a session's last turn that ended before the event with its first
 * one that began after it, of the same salt. If sessions are not spread evenly (`isUneven`), the bound is how many were on the engine. `strays`
 * moved although the event did not concern the engine that they were on. `stayed`: on an engine that had been drained or removed.
 */
export function movesOf({ events, slow }, turns) {
  const bySalt = groupBySalt(turns)
  return events.map((event, at) => {
    const until = events[at + 1]?.at ?? Number.POSITIVE_INFINITY
    const pairs = [...bySalt.values()].flatMap((list) => pairOver(list, event, until))
    const moved = pairs.filter(([before, after]) => before.engine !== after.engine)
    const own = pairs.filter(([before]) => before.engine === event.engine)
    const isLate = (pair) => pair.some((turn) => wasSlow(slow, turn))
    const stayed = own.filter((pair) => pair[1].engine === event.engine && !isLate(pair))
    const mayMove = event.kind === 'engine killed' || event.kind === 'engine left'
    const isExplained = (before, after) =>
      (mayMove && before.engine === event.engine) ||
      wasUnseen(slow, before.engine, before.at, after.end) ||
      isLate([before, after])
    return {
      name: event.name,
      compared: pairs.length,
      moved: moved.length,
      strays: moved.filter(([before, after]) => !isExplained(before, after)).length,
      ...(event.kind === 'engine left' ? { stayed: stayed.length } : {}),
      bound: event.isUneven ? own.length : boundOf(pairs.length, event.engines),
    }
  })
}

function pairOver(list, event, until) {
  const before = list.findLast(({ end }) => end < event.at)
  const after = list.find(({ at, end }) => at > event.settled && end < until)
  return before === undefined || after === undefined ? [] : [[before, after]]
}

function groupBySalt(turns) {
  const groups = new Map()
  for (const turn of turns) {
    const list = groups.get(turn.salt)
    if (list === undefined) groups.set(turn.salt, [turn])
    else list.push(turn)
  }
  return groups
}
