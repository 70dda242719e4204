// The possible courses of a turn: what the upstream does, what the client does, and what it must receive. A judge returns undefined if
// everything was correct, otherwise a description of what was wrong.

import { errorAnswer, jsonAnswer, streamEvents } from './answers.mjs'

const firstOf = (bytes) => JSON.stringify(bytes.subarray(0, 160).toString())

function codeIn(bytes) {
  try {
    return JSON.parse(bytes).error.code
  } catch {
    return undefined
  }
}

/** Expects the upstream's complete answer, byte for byte. */
function whole({ script, asksUsage }, { status, bytes, complete }) {
  const expected = script.answer === 'json' ? jsonAnswer(script) : Buffer.concat(streamEvents(script, asksUsage))
  if (status !== 200) return `status ${status}: ${firstOf(bytes)}`
  if (!complete) return `aborted after ${bytes.length} of ${expected.length} bytes`
  if (!bytes.equals(expected)) return `${bytes.length} bytes that differ from the ${expected.length} of the upstream`
}

/** Expects the upstream's own error, with its Retry-After. */
function upstreamError({ script }, { status, headers, bytes, complete }) {
  if (status !== script.status || !complete) return `status ${status} instead of ${script.status}`
  if (headers['retry-after'] !== '7') return `retry-after ${headers['retry-after']}`
  if (!bytes.equals(errorAnswer(script))) return `a different body: ${firstOf(bytes)}`
}

const cwmError =
  (expectedStatus, expectedCode) =>
  (_, { status, bytes, complete }) => {
    const code = codeIn(bytes)
    if (status === expectedStatus && code === expectedCode && complete) return undefined
    return `status ${status} with ${code} instead of ${expectedStatus} with ${expectedCode}`
  }

/** Expects all events that were received completely, then an error event, and no clean end. */
const brokenWith =
  (expectedCode) =>
  ({ script, asksUsage }, { status, bytes, complete }) => {
    const came = Buffer.concat(streamEvents(script, asksUsage).slice(0, script.at))
    if (status !== 200) return `status ${status}: ${firstOf(bytes)}`
    if (complete) return 'a broken stream that ended as if it were whole'
    if (!bytes.subarray(0, came.length).equals(came)) return 'not the events that came before it broke'
    const last = bytes.subarray(came.length).toString()
    const code = last.startsWith('data: ') && last.endsWith('\n\n') ? codeIn(last.slice(6)) : undefined
    if (code !== expectedCode) return `${firstOf(bytes.subarray(came.length))} instead of an event with ${expectedCode}`
  }

const left = (_, { complete }) => (complete ? 'whole, though its client left' : undefined)

/** Expects what an outage of the upstream may cause: the correct answer, one of cwm's errors, or a visibly broken connection. */
export function truthful(turn, outcome) {
  if (!outcome.complete || turn.plan.judge(turn, outcome) === undefined) return undefined
  const code = codeIn(outcome.bytes)
  return /^(upstream_|busy)/.test(String(code))
    ? undefined
    : `status ${outcome.status} with ${code} while the upstream was away`
}

const json = { answer: 'json' }
const stream = { answer: 'stream', events: 20 }
/** A stream so long that a client that leaves has never received all of it, however slow the machine. */
const endless = { ...stream, paceMs: 25, fault: 'stall', at: 8 }
const paced = { answer: 'stream', events: 40, paceMs: 25 }

/**
 * `weight`: share of turns, per thousand. `goesOn`: the client has its answer, so the conversation may continue. `leave`: when the client leaves.
 * Stalls last until the timeouts that main.mjs sets.
 */
export const plans = [
  { name: 'JSON answer', weight: 480, script: json, judge: whole, goesOn: true },
  { name: 'stream at once', weight: 300, script: stream, judge: whole, goesOn: true },
  { name: 'stream of a second', weight: 60, script: paced, judge: whole, goesOn: true },
  { name: 'error 500', weight: 15, script: { ...json, status: 500 }, judge: upstreamError },
  { name: 'error 503', weight: 15, script: { ...stream, status: 503 }, judge: upstreamError },
  { name: 'error 429', weight: 20, script: { ...stream, status: 429 }, judge: upstreamError },
  {
    name: 'dies before headers',
    weight: 10,
    script: { ...stream, fault: 'die-before' },
    judge: cwmError(502, 'upstream_broken'),
  },
  {
    name: 'dies after headers',
    weight: 10,
    script: { ...stream, fault: 'die', at: 0 },
    judge: brokenWith('upstream_broken'),
  },
  {
    name: 'dies between events',
    weight: 10,
    script: { ...stream, fault: 'die', at: 8 },
    judge: brokenWith('upstream_broken'),
  },
  {
    name: 'dies in an event',
    weight: 10,
    script: { ...stream, fault: 'die-in-event', at: 8 },
    judge: brokenWith('upstream_broken'),
  },
  {
    name: 'wrong content length',
    weight: 10,
    script: { ...json, fault: 'short' },
    judge: cwmError(502, 'upstream_broken'),
  },
  {
    name: 'stalls before headers',
    weight: 3,
    script: { ...stream, fault: 'hold' },
    judge: cwmError(504, 'upstream_timeout'),
  },
  {
    name: 'stalls in mid-stream',
    weight: 3,
    script: { ...stream, fault: 'stall', at: 8 },
    judge: brokenWith('upstream_timeout'),
  },
  { name: 'client leaves while sending', weight: 14, script: json, leave: 'sending', judge: left },
  { name: 'client leaves in prefill', weight: 20, script: { ...stream, fault: 'hold' }, leave: 'prefill', judge: left },
  { name: 'client leaves in mid-stream', weight: 20, script: endless, leave: 'stream', judge: left },
]

/** The plan of the large sessions. */
export const bigPrompt = { name: '512 KB prompt', script: json, judge: whole, goesOn: true }
export const slowReader = {
  name: 'slow reader',
  script: { answer: 'stream', events: 1000, eventBytes: 4000 },
  slow: true,
  judge: whole,
}

/** Each plan, repeated according to its weight. */
const drawn = plans.flatMap((plan) => Array.from({ length: plan.weight }, () => plan))

/** `share`: from 0 up to, but excluding, 1. */
export function planAt(share) {
  return drawn[Math.floor(share * drawn.length)]
}
