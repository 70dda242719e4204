// Follow-up turns that the engine had to compute again, in whole or in part, and why. Pure; `run` as in judge.mjs.

import { TOO_SLOW, wasSlow, wasUnseen } from './slow.mjs'

/** Tokens per block of the simulated engine's cache, and per chunk of its LMCache. */
const BLOCK = 16
const CHUNK = 256
/** A boundary is stored some milliseconds after its answer. One that a proxy took with it when it died is not known to the others. */
const STORED_MS = 1_000

/**
 * `{ what, cause, count }`: `what` is `cold`, or `from L2` if all whole chunks of LMCache were loaded. Warm follow-ups are not in it. The cause
 * is undefined if none is known.
 */
export function coldTurns(run, turns) {
  const counts = new Map()
  /** Each conversation's last turn under each of its salts: `Map(conversation, Map(salt, turn))`, and its last turn at all. */
  const known = new Map()
  const last = new Map()
  for (const turn of turns) {
    const before = known.get(turn.conversation) ?? new Map()
    const verdict = verdictOf(run, turn, before.get(turn.salt), last.get(turn.conversation))
    if (verdict !== undefined) {
      const key = JSON.stringify(verdict)
      counts.set(key, { what: verdict[0], cause: verdict[1] ?? undefined, count: (counts.get(key)?.count ?? 0) + 1 })
    }
    known.set(turn.conversation, before.set(turn.salt, turn))
    last.set(turn.conversation, turn)
  }
  return [...counts.values()].sort((a, b) => b.count - a.count)
}

function verdictOf(run, turn, same, previous) {
  if (previous === undefined) return undefined
  if (same === undefined) return ['cold', anewBecause(run, turn, previous) ?? null]
  const expected = Math.floor((same.prompt - 1) / BLOCK) * BLOCK
  if (turn.cached >= expected) return undefined
  const chunks = Math.floor(same.prompt / CHUNK) * CHUNK
  // The shared L2 outlives every engine, so nothing explains that less than its whole chunks came back.
  if (turn.cached < chunks || chunks === 0) return ['cold', null]
  return ['from L2', lostBecause(run, turn, same) ?? null]
}

/** Why a conversation got a salt that it had never had. */
function anewBecause({ events, slow }, turn, previous) {
  const redis = events.filter(({ kind }) => kind === 'redis killed')
  const inOutage = ({ at, end }) => redis.some((event) => end >= event.at - STORED_MS && at <= event.back)
  if (turn.degraded || inOutage(turn) || inOutage(previous)) return 'begun anew: Redis was away'
  const lost = events.some(
    ({ kind, cwm, at }) =>
      kind === 'cwm killed' && cwm === previous.cwm && at >= previous.end && at <= previous.end + STORED_MS,
  )
  if (lost) return 'begun anew: its last answer was lost with its cwm'
  return wasSlow(slow, turn) || wasSlow(slow, previous) ? `begun anew: ${TOO_SLOW}` : undefined
}

/** Why the engine of a turn lacks KV of the same salt. */
function lostBecause({ events, slow }, turn, same) {
  const since = (event) => (event.back ?? event.settled) >= same.at && event.at <= turn.end
  const kinds = (engine) => events.filter((event) => event.engine === engine && since(event)).map(({ kind }) => kind)
  const own = kinds(same.engine)
  if (turn.engine === same.engine) return own.length > 0 ? 'its engine was restarted' : undefined
  if (own.includes('engine killed')) return 'its engine was killed'
  if (own.includes('engine left')) return 'its engine was drained or removed'
  if (wasUnseen(slow, same.engine, same.at, turn.end)) return 'its engine did not answer in time'
  // A cwm that cannot read the store uses what it knew of the placement.
  return wasSlow(slow, turn) || wasSlow(slow, same) ? `moved: ${TOO_SLOW}` : undefined
}
