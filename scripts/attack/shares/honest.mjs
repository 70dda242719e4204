// The honest tenant, in its own process: turns on new connections, and what it stored before the attack. Started as
// `node honest.mjs PORT MODEL`; communicates over IPC.

import { request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { HONEST } from './addresses.mjs'

const [, , port, model] = process.argv
const KEY = 'honest-key-0123456789abcdef'
const LANES = 2
const PAUSE_MS = 20
const REQUEST_MS = 15_000
const SHOWN = 5
/** How many windows, deletes and retained turns there are before the attack. */
const WINDOWS = 10
const DELETED = 5
const SESSIONS = 20
/** Each of so many turns is followed by other requests. */
const OTHERS_EVERY = 10
const EVENTS_MS = 1_000

const headers = { authorization: `Bearer ${KEY}`, 'x-forwarded-for': HONEST }

/**
 * Sends a request on a new connection, and closes it once `isDone(text)` is true. Resolves with `{ status, text }`; rejects without an
 * answer.
 */
function send(method, path, { json, more = {}, isDone, ms = REQUEST_MS } = {}) {
  const body = json === undefined ? undefined : JSON.stringify(json)
  const typed =
    body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  const options = { host: '127.0.0.1', port, method, path, agent: false, headers: { ...headers, ...typed, ...more } }
  return new Promise((resolve, reject) => {
    const request = httpRequest(options, (response) => {
      let text = ''
      const end = () => {
        clearTimeout(timer)
        resolve({ status: response.statusCode, text, isWhole: response.complete })
        request.destroy()
      }
      response.on('error', () => {})
      response.setEncoding('utf8').on('data', (part) => {
        text += part
        if (isDone?.(text)) end()
      })
      response.once('close', end)
    })
    const timer = setTimeout(() => {
      if (isDone === undefined) reject(new Error(`${method} ${path}: no answer in ${ms} ms`))
      request.destroy()
    }, ms)
    request.once('error', (error) => {
      clearTimeout(timer)
      reject(new Error(`${method} ${path}: ${error.message}`))
    })
    request.end(body)
  })
}

let latencies = []
let requests = 0
let failures = []
let failureCount = 0

function failed(message) {
  failureCount++
  if (failures.length < SHOWN) failures.push(message)
}

/** Sends a request that must be answered with 200. Returns the answer, or undefined if it failed. */
async function must(method, path, options) {
  requests++
  try {
    const answer = await send(method, path, options)
    if (answer.status >= 200 && answer.status < 300) return answer
    failed(`${method} ${path}: ${answer.status} ${answer.text.slice(0, 200)}`)
  } catch (error) {
    failed(error.message)
  }
  return undefined
}

const turn = (session, words) => {
  const json = { model, max_tokens: 16, messages: [{ role: 'user', content: words }] }
  return must('POST', '/v1/chat/completions', { json, more: { 'x-cwm-session': session } })
}

const list = async (path) => {
  const answer = await must('GET', `/cwm/v1${path}`)
  return answer === undefined ? [] : JSON.parse(answer.text).data
}

/** Opens the event stream behind an id, and reads until a text was received or a second has passed. */
const readEvents = (lastEventId, isDone) =>
  send('GET', '/cwm/v1/events', {
    ...{ isDone, ms: EVENTS_MS },
    more: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
  })

let firstEvent
let auditBefore = []

/** Leaves entries in the audit log, events, windows and last turns that must be there after the attack. */
async function prepare() {
  const { text } = await readEvents(undefined, (read) => /^id: \d+$/m.test(read))
  firstEvent = /^id: (\d+)$/m.exec(text)?.[1]
  for (let n = 0; n < WINDOWS; n++)
    await must('PUT', `/cwm/v1/windows/honest-${n}`, { json: { model, document: `The lantern ${n} is lit.` } })
  for (let n = 0; n < DELETED; n++) await must('DELETE', `/cwm/v1/windows/honest-${n}`)
  for (let n = 0; n < SESSIONS; n++) await turn(`honest-kept-${n}`, `Boat number ${n} is in the harbor.`)
  auditBefore = await list('/audit?limit=1000')
  return taken()
}

/** Which of these entries are gone. */
async function check() {
  const lost = []
  const entries = new Set((await list('/audit?limit=1000')).map((entry) => JSON.stringify(entry)))
  const gone = auditBefore.filter((entry) => !entries.has(JSON.stringify(entry))).length
  if (gone > 0 || auditBefore.length === 0) lost.push(`${gone} of ${auditBefore.length} audit entries`)
  const count = WINDOWS + DELETED
  const kept = (text) => text.match(/^event: (frozen|deleted)$/gm)?.length ?? 0
  const events = await readEvents(firstEvent, (text) => kept(text) >= count).catch(() => ({ text: '' }))
  if (kept(events.text) < count) lost.push(`${count - kept(events.text)} of ${count} events`)
  let turns = 0
  for (let n = 0; n < SESSIONS; n++) {
    const json = { name: `honest-frozen-${n}`, session_id: `honest-kept-${n}` }
    const answer = await send('POST', '/cwm/v1/windows', { json }).catch(() => undefined)
    if (answer?.status !== 201) turns++
  }
  if (turns > 0) lost.push(`${turns} of ${SESSIONS} last turns`)
  return { lost, ...taken() }
}

/** What was measured since the last call. */
function taken() {
  const sorted = latencies.sort((a, b) => a - b)
  const result = { latencies: sorted, requests, failures, failureCount }
  latencies = []
  requests = 0
  failures = []
  failureCount = 0
  return result
}

let isOn = false
let lanes = []
let said = 0

async function converse(lane) {
  while (isOn) {
    const n = said++
    const began = performance.now()
    await turn(`honest-${lane}-${n % OTHERS_EVERY}`, `Ship number ${n} of lane ${lane} carries timber and rope.`)
    latencies.push(performance.now() - began)
    if (n % OTHERS_EVERY === 0) await others()
    await sleep(PAUSE_MS)
  }
}

async function others() {
  await must('GET', '/cwm/v1/windows?limit=5')
  requests++
  const events = await readEvents(undefined, () => true).catch((error) => ({ status: error.message, text: '' }))
  if (events.status !== 200) failed(`GET /cwm/v1/events: ${events.status} ${events.text.slice(0, 200)}`)
}

const answers = {
  prepare,
  check,
  /** Works for so long. */
  async work({ seconds }) {
    isOn = true
    lanes = Array.from({ length: LANES }, (_, lane) => converse(lane))
    await sleep(seconds * 1000)
    isOn = false
    await Promise.all(lanes)
    return taken()
  },
}
process.on('message', async (message) => process.send(await answers[message.want](message)))
process.on('disconnect', () => process.exit())
