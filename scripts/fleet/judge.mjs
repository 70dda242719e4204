// The oracle: from what clients got and what the engines logged, it decides whether the promises of a fleet were kept. Pure.
//
// A `run` is { attempts, arrivals, slow, events }:
//   attempts  what clients sent: { id, conversation, named, cwm, at, end, ok, failure?, session?, degraded?, cached?, prompt? }
//   arrivals  what the engines' own logs hold: { id, engine, salt, at }; `id` is the attempt's, undefined for cwm's own calls
//   slow      when a cwm did not reach its store, or an engine, in time although it ran: { cwm or engine, at, end }
//   events    in order of time: { kind, name, at, settled, back?, engine?, cwm?, engines } - `engines`: how many there were before it
// All times are milliseconds of one clock.

import { coldTurns } from './cold-turns.mjs'
import { movesOf } from './moves.mjs'
import { TOO_SLOW, wasSlow } from './slow.mjs'

/** A request may be written to a connection whose other end is gone already: until the end is noticed, it is in flight there. */
const NOTICE_MS = 1_000

/** Joins each answered attempt with the engine and salt that the engines logged for it. Oldest first. */
export function answeredTurns({ attempts, arrivals }) {
  const byId = new Map(arrivals.map((arrival) => [arrival.id, arrival]))
  return attempts
    .filter(({ ok }) => ok)
    .map((attempt) => ({ ...attempt, engine: byId.get(attempt.id)?.engine, salt: byId.get(attempt.id)?.salt }))
    .sort((a, b) => a.at - b.at)
}

/** All figures of a run, and `faults`: one line for each broken promise. */
export function judge(run) {
  const turns = answeredTurns(run)
  const figures = {
    conversations: new Set(run.attempts.map(({ conversation }) => conversation)).size,
    turns: turns.length,
    attempts: run.attempts.length,
    failures: failuresOf(run),
    salts: saltsOf(run, turns),
    cold: coldTurns(run, turns),
    moves: movesOf(run, turns),
  }
  return { ...figures, faults: [...lostFaults(run, turns), ...faultsOf(figures)] }
}

function faultsOf({ failures, salts, cold, moves }) {
  return [
    ...failures
      .filter(({ cause }) => cause === undefined)
      .map(({ kind, count }) => `${count} requests failed without a cause: ${kind}`),
    ...(salts.shared > 0 ? [`${salts.shared} salts were used by more than one conversation`] : []),
    ...(salts.changed > 0 ? [`${salts.changed} sessions changed their salt`] : []),
    ...(salts.sessionsShared > 0
      ? [`${salts.sessionsShared} session ids were given to more than one conversation`]
      : []),
    ...cold
      .filter(({ cause }) => cause === undefined)
      .map(({ what, count }) => `${count} follow-ups ${what} without a cause`),
    ...moves
      .filter(({ moved, bound }) => moved > bound)
      .map(({ name, moved, bound }) => `${name}: ${moved} sessions moved, at most ${bound.toFixed(0)} may`),
    ...moves
      .filter(({ strays }) => strays > 0)
      .map(({ name, strays }) => `${name}: ${strays} sessions moved away from engines that stayed`),
    ...moves
      .filter(({ stayed = 0 }) => stayed > 0)
      .map(({ name, stayed }) => `${name}: ${stayed} sessions were still there afterwards`),
  ]
}

/** Every answered request is in exactly one engine's log, and no request at all reached two engines. */
function lostFaults({ arrivals }, turns) {
  const seen = new Map()
  for (const { id } of arrivals) if (id !== undefined) seen.set(id, (seen.get(id) ?? 0) + 1)
  const twice = [...seen.values()].filter((count) => count > 1).length
  const unlogged = turns.filter(({ id }) => !seen.has(id)).length
  return [
    ...(twice > 0 ? [`${twice} requests were sent to engines more than once`] : []),
    ...(unlogged > 0 ? [`${unlogged} answers are in no engine's log`] : []),
  ]
}

/** Failed attempts by kind and cause: `{ kind, cause, count }`. A cause is an event that they were in flight at, or that explains them. */
export function failuresOf({ attempts, arrivals, events, slow }) {
  const reached = new Map(arrivals.map(({ id, engine }) => [id, engine]))
  const counts = new Map()
  for (const attempt of attempts.filter(({ ok }) => !ok)) {
    const event = events.find((event) => explainsFailure(event, attempt, reached.get(attempt.id)))
    const late = attempt.failure === '503 store_unavailable' && wasSlow(slow, attempt)
    const cause = event?.name ?? (late ? TOO_SLOW : undefined)
    const key = JSON.stringify([attempt.failure, cause])
    counts.set(key, { kind: attempt.failure, cause, count: (counts.get(key)?.count ?? 0) + 1 })
  }
  return [...counts.values()].sort((a, b) => b.count - a.count)
}

const isDuring = (event, { at, end }) => at <= (event.back ?? event.settled) && end >= event.at

function explainsFailure(event, attempt, engine) {
  // A client may come to a cwm that is away at any time, and its request may be broken off.
  if (event.kind === 'cwm killed') return attempt.cwm === event.cwm && isDuring(event, attempt)
  // A turn that was about to be sent when the store went away is not: its session may have been ended elsewhere.
  if (event.kind === 'redis killed')
    return (
      attempt.failure === '503 store_unavailable' && attempt.at <= event.settled + NOTICE_MS && attempt.end >= event.at
    )
  // Of an engine's death only what was in flight there may be noticed.
  if (event.kind !== 'engine killed') return false
  const inFlight = attempt.at <= event.settled + NOTICE_MS && attempt.end >= event.at
  return inFlight && (engine === event.engine || engine === undefined)
}

/** Salts by session and by conversation. Turns that say that the store did not answer have temporary ones. */
export function saltsOf({ attempts, arrivals }, turns) {
  const conversationOf = new Map(attempts.map(({ id, conversation }) => [id, conversation]))
  const users = gather(
    arrivals.filter(({ id }) => id !== undefined).map(({ id, salt }) => [salt, conversationOf.get(id)]),
  )
  const kept = turns.filter(({ degraded }) => !degraded)
  const perSession = gather(kept.map(({ tenant, session, salt }) => [JSON.stringify([tenant, session]), salt]))
  const owners = gather(
    kept.map(({ tenant, session, conversation }) => [JSON.stringify([tenant, session]), conversation]),
  )
  const perNamed = gather(kept.filter(({ named }) => named).map(({ conversation, salt }) => [conversation, salt]))
  return {
    salts: users.size,
    shared: moreThanOne(users),
    sessions: perSession.size,
    changed: moreThanOne(perSession) + moreThanOne(perNamed),
    sessionsShared: moreThanOne(owners),
    /** Salts per session and sessions per salt, as `{ 1: 2000 }`. */
    perSession: histogram(perSession),
    perSalt: histogram(users),
  }
}

/** `[key, value]` pairs as a map of sets. */
export function gather(pairs) {
  const sets = new Map()
  for (const [key, value] of pairs) sets.set(key, (sets.get(key) ?? new Set()).add(value))
  return sets
}

const moreThanOne = (sets) => [...sets.values()].filter(({ size }) => size > 1).length

function histogram(sets) {
  const counts = {}
  for (const { size } of sets.values()) counts[size] = (counts[size] ?? 0) + 1
  return counts
}
