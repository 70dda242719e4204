// The requests of the clients: conversations of words, repeatable, different for each connection, with bodies of an exact size. Consecutive
// bodies of a connection differ in a number: in the newest message only, or also in the oldest one, which makes it another conversation.

import { deltaEvents, REPLY } from './answers.mjs'
import { isStream, modelOf } from './scenarios.mjs'

// Some characters take two bytes in UTF-8, dashes and ellipses three, as in real chats.
const WORDS =
  'the lease of the house at the corner ends in spring and whoever lives there must say by December whether he stays — the café below ' +
  'has asked twice, the owner’s reply was “perhaps”, so we went through every clause … notice, deposit, repairs, façade, heating, ' +
  'naïve hopes aside it comes to about four hundred a month more than last year which nobody had expected'
const words = WORDS.split(' ')
const TEXT_OF_STREAM = deltaEvents.map((event) => JSON.parse(event.subarray(6)).choices[0].delta.content ?? '').join('')
const NUMBER_DIGITS = 10
/** Bytes around the messages and around the text of each; characters per byte of text, rounded down. */
const FRAME_BYTES = 250
const MESSAGE_FRAME_BYTES = 34
const CHARACTERS_PER_BYTE = 0.96

/** A text of this many characters, determined by `seed`. */
function textOf(length, seed) {
  let text = ''
  let state = seed + 1
  while (text.length < length) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    text += `${words[(state >>> 8) % words.length]} `
  }
  return text.slice(0, length).trimEnd().toWellFormed()
}

/** `before` starts the oldest message. Without replies, all messages are the user's. */
function historyOf(scenario, seed, replyBytes, { before = '', hasReplies = true }) {
  const count = scenario.messages - 2
  const each = Math.floor((scenario.bodyBytes - replyBytes - FRAME_BYTES) / (count + 1)) - MESSAGE_FRAME_BYTES
  return Array.from({ length: count }, (_, n) => {
    const role = n === 0 && count % 2 === 0 ? 'system' : hasReplies && (count - n) % 2 === 0 ? 'assistant' : 'user'
    const prefix = n === 0 ? before : ''
    return { role, content: prefix + textOf(each * CHARACTERS_PER_BYTE - prefix.length, seed + n) }
  })
}

const bodyOf = (scenario, messages) =>
  Buffer.from(
    JSON.stringify({
      ...{ model: modelOf(scenario), messages, temperature: 0.2, max_tokens: 256 },
      ...(isStream(scenario) ? { stream: true } : {}),
    }),
  )

const MARK = '0'.repeat(NUMBER_DIGITS)

/**
 * Returns `next()`, which returns a body of the scenario's size with another number at each of `places`. It reuses one buffer, so the
 * previous body must have been sent.
 */
function numbered(scenario, messages, places) {
  const question = `Question ${MARK}: `
  const bodyWith = (text) => bodyOf(scenario, [...messages, { role: 'user', content: text }])
  const room = scenario.bodyBytes - bodyWith(question).length
  if (room < 0) throw new Error(`${scenario.name}: the messages are ${-room} bytes too large`)
  const body = bodyWith(question + 'and then? '.repeat(room / 10 + 1).slice(0, room))
  const offsets = places.map((prefix) => body.lastIndexOf(prefix + MARK) + prefix.length)
  let count = 0
  return () => {
    const number = String(++count).padStart(NUMBER_DIGITS, '0')
    for (const at of offsets) body.latin1Write(number, at, NUMBER_DIGITS)
    return body
  }
}

/**
 * The turns of one connection, which differ between runs. `first` must be sent once; each `next()` then continues its answer with another
 * newest message. With `startedBy`, each body starts a conversation, so there is no `first`: a chat without replies (`first`), or with
 * replies from elsewhere (`unknown`).
 */
export function conversationOf(scenario, connection, run, startedBy) {
  const reply = {
    role: startedBy === 'first' ? 'user' : 'assistant',
    content: isStream(scenario) ? TEXT_OF_STREAM : REPLY,
  }
  const options = startedBy === undefined ? {} : { before: `Case ${MARK}: `, hasReplies: startedBy !== 'first' }
  const history = historyOf(scenario, run * 1_000_003 + connection * 10_007, reply.content.length, options)
  const places = startedBy === undefined ? ['Question '] : ['Case ', 'Question ']
  return {
    first: startedBy === undefined ? bodyOf(scenario, history) : undefined,
    next: numbered(scenario, [...history, reply], places),
  }
}
