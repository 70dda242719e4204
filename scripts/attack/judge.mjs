// The oracle on the client side: whether a response is acceptable for its request.

import { HONEST_MARK, ownersIn } from './tag.mjs'

/** cwm's codes for failures of itself or of the engine. No attack may cause them. */
const FAILURES = new Set([
  'internal',
  'window_corrupt',
  'config',
  'upstream_refused',
  'upstream_timeout',
  'upstream_broken',
  'upstream_open',
  'store_unavailable',
])
/** How a stream ends in each dialect, normally and after an error. */
const STREAM_ENDS = [
  'data: [DONE]',
  'event: message_stop',
  'event: response.completed',
  'event: response.incomplete',
  'event: response.failed',
  'event: error',
]

/** Describes what is wrong with the outcome of a plan; empty if nothing is. */
export function faultsOf(plan, outcome) {
  const faults = []
  const { answers, closed, timedOut, fault } = outcome
  if (fault !== undefined) faults.push(`bytes that are not a response: ${fault}`)
  if (timedOut) faults.push(plan.leaves ? 'the client could not leave' : 'no answer in time')
  if (answers.length === 0 && closed && !plan.broken && !plan.leaves) faults.push('closed without an answer')
  if (answers.length > plan.answers && !plan.broken)
    faults.push(`${answers.length} answers to ${plan.answers} requests`)
  for (const answer of answers) faults.push(...faultsOfAnswer(plan, answer))
  const [first] = answers
  if (first !== undefined && plan.expect !== undefined) faults.push(...faultsOfExpected(plan.expect, first))
  return faults
}

function faultsOfAnswer(plan, answer) {
  const { status, headers, body } = answer
  const faults = []
  const text = body.toString('utf8')
  const code = codeOf(answer)
  if (status < 200 || status > 599) faults.push(`status ${status}`)
  if (FAILURES.has(code)) faults.push(`${status} ${code}: ${text.slice(0, 300)}`)
  else if (status >= 500 && code !== 'busy') faults.push(`status ${status}: ${text.slice(0, 300)}`)
  if (plan.refused && status < 400)
    faults.push(`status ${status} for a request that must be rejected: ${text.slice(0, 200)}`)
  // The engine's own 405 passes unchanged.
  if (code === 'method_not_allowed' && headers.allow === undefined) faults.push('405 without Allow')
  if (plan.method !== 'HEAD') faults.push(...faultsOfBody(answer, text))
  if (text.includes(HONEST_MARK)) faults.push("an honest tenant's words")
  for (const owner of ownersIn(text)) if (owner !== plan.who.owner) faults.push(`the words of ${owner}`)
  const id = headers['x-cwm-request-id']
  const sent = plan.headers.some(([name]) => name.toLowerCase() === 'x-request-id')
  const own = [plan.who.id, plan.twin?.who.id]
  // REST assigns its own request ids.
  const isOfAttack = /^[al]\d+(-2)?$/.test(id)
  if (isOfAttack && !sent && !plan.broken && !own.includes(id)) faults.push(`the response of another request: ${id}`)
  return faults
}

function faultsOfBody({ status, headers }, text) {
  const type = String(headers['content-type'] ?? '')
  if (type.startsWith('text/event-stream')) {
    const ends = STREAM_ENDS.some((end) => text.includes(end)) || text.includes('"error"')
    return ends || text === '' ? [] : [`a stream that does not end: ${text.slice(-200)}`]
  }
  if (!type.startsWith('application/json')) return []
  let json
  try {
    json = JSON.parse(text)
  } catch {
    return [`status ${status} with a body that is not JSON: ${text.slice(0, 200)}`]
  }
  // FastAPI's own errors have a `detail`; JSON-RPC's have an error beside their id.
  const isError = typeof json?.error?.message === 'string' || json?.detail !== undefined || json?.message !== undefined
  return status < 400 || isError ? [] : [`status ${status} without an error: ${text.slice(0, 200)}`]
}

/** The error code of a response, if it has one. */
export function codeOf({ body, headers }) {
  if (!String(headers['content-type'] ?? '').startsWith('application/json')) return undefined
  try {
    return JSON.parse(body.toString('utf8'))?.error?.code ?? undefined
  } catch {
    return undefined
  }
}

/** `expect`: `{ status, code, header: [name, pattern], message: pattern }`, with lists if several values are correct. */
function faultsOfExpected({ status, code, header, message }, answer) {
  const faults = []
  const said = answer.body.toString('utf8').slice(0, 300)
  if (status !== undefined && ![status].flat().includes(answer.status)) {
    faults.push(`status ${answer.status}, not ${[status].flat().join(' or ')}: ${said}`)
  }
  if (code !== undefined && ![code].flat().includes(codeOf(answer))) {
    faults.push(`code ${codeOf(answer)}, not ${[code].flat().join(' or ')}`)
  }
  if (header !== undefined && !header[1].test(String(answer.headers[header[0]] ?? ''))) {
    faults.push(`header ${header[0]} is ${answer.headers[header[0]]}`)
  }
  if (message !== undefined && !message.test(said)) faults.push(`no ${message} in: ${said}`)
  return faults
}
