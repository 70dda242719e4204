// The attacks on what tenants share. Each takes as much as it can for some seconds, with as many keys as it likes, from one address.

import { WORDS } from '../../words.mjs'

const MB = 1_000_000
const MIB = 1024 * 1024
const ONE_KEY = 'attack-key-of-one-tenant-0123456789'
const CHAT = '/v1/chat/completions'
/** The upstream answers a request with this header itself, with so many bytes. */
const ANSWER_BYTES = 'x-attack-answer-bytes'

const newKey = () => `attack-key-${Math.random().toString(36).slice(2)}-0123456789`
const documentOf = (n, words) =>
  `Document ${n}. ${Array.from({ length: words }, (_, i) => WORDS[(n + i * 7) % WORDS.length]).join(' ')}`

const makeWindow = (attacker, n, words) =>
  attacker.send('PUT', `/cwm/v1/windows/attack-${n}`, {
    key: ONE_KEY,
    json: { model: attacker.model, document: documentOf(n, words) },
  })

/** The head of a request whose body may follow. */
const announced = (bytes, key) => ({ method: 'POST', path: CHAT, key, headers: { 'content-length': bytes } })
const bigAnswer = ({ model }, bytes) => ({
  ...{ method: 'POST', path: CHAT, key: ONE_KEY, headers: { [ANSWER_BYTES]: bytes } },
  json: { model, messages: [{ role: 'user', content: 'Write all you know.' }] },
})

/**
 * `row`: of the table in issue 17. `flags`: settings that differ from the defaults. `mostAtOnce`: how many warm calls of the attacker the
 * engine may see at once. `run(attacker)` resolves when the attacker's time is over; `prepare` comes before the measurement.
 */
export const attacks = [
  {
    ...{
      name: 'parallel-puts',
      row: 1,
      what: '60 parallel `PUT /cwm/v1/windows/…` by one tenant that may have one request in flight',
    },
    ...{ flags: { 'max-in-flight-per-tenant': 1 }, mostAtOnce: 1 },
    run: (attacker) => attacker.lanes(60, (n) => makeWindow(attacker, n, 2_000)),
  },
  {
    ...{ name: 'parallel-thaws', row: 1, what: '60 parallel thaws by the same tenant' },
    ...{ flags: { 'max-in-flight-per-tenant': 1 }, mostAtOnce: 1 },
    prepare: (attacker) => makeWindow(attacker, 0, 2_000),
    run: (attacker) =>
      attacker.lanes(60, () => attacker.send('POST', '/cwm/v1/windows/attack-0/thaw', { key: ONE_KEY, json: {} })),
  },
  {
    ...{
      name: 'absent-deletes',
      row: 2,
      what: 'deletes of windows that do not exist, with `audit_keep` and `events_keep` at 200',
    },
    flags: { 'audit-keep': 200, 'events-keep': 200 },
    run: (attacker) =>
      attacker.lanes(16, (n) => attacker.send('DELETE', `/cwm/v1/windows/absent-${n}`, { key: ONE_KEY })),
  },
  {
    ...{ name: 'junk-bodies', row: 3, what: 'bodies of 60 MB of junk, five at once' },
    prepare: (attacker) => {
      const turn = { model: attacker.model, messages: [{ role: 'user', content: 'hi' }], junk: 'x'.repeat(60 * MB) }
      attacker.body = Buffer.from(JSON.stringify(turn))
    },
    run: (attacker) => {
      const request = { key: ONE_KEY, body: attacker.body, headers: { [ANSWER_BYTES]: 500 } }
      return attacker.lanes(5, () => attacker.send('POST', CHAT, request))
    },
  },
  {
    ...{ name: 'unread-answers', row: 4, what: '50 answers of 15 MB that their client does not read' },
    run: (attacker) => attacker.hold(50, () => ({ ...bigAnswer(attacker, 15 * MB), isUnread: true })),
  },
  {
    ...{ name: 'announced-bodies', row: 5, what: '513 announced bodies with nothing sent' },
    run: (attacker) => attacker.hold(513, () => announced(MB, ONE_KEY)),
  },
  {
    ...{ name: 'announced-64-mib', row: 5, what: '8 random keys that announce 64 MiB each' },
    run: (attacker) => attacker.hold(8, () => announced(64 * MIB, newKey())),
  },
  {
    ...{ name: 'listeners', row: 5, what: '32 random keys with 16 event listeners each' },
    run: (attacker) => {
      const keys = Array.from({ length: 32 }, newKey)
      return attacker.hold(512, (n) => ({ method: 'GET', path: '/cwm/v1/events', key: keys[n % keys.length] }))
    },
  },
  {
    ...{ name: 'slow-bodies', row: 5, what: '200 random keys that send a body of 1 MB byte by byte' },
    run: (attacker) => attacker.hold(200, () => ({ ...announced(MB, newKey()), drips: true })),
  },
]
