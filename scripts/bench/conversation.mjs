// What a client sends: conversations of words, the same on every run, each connection another one, every body of exactly as many bytes.
// A body differs from the last one of its connection by a number: in the newest message only, or in the oldest as well, and then it is
// another conversation.

import { deltaEvents, REPLY } from './answers.mjs'
import { isStream, modelOf } from './scenarios.mjs'

// Some letters take two bytes in UTF-8, a dash and an ellipsis three, as in real chats.
const WORDS =
  'the lease of the house at the corner ends in spring and whoever lives there must say by December whether he stays — the café below ' +
  'has asked twice, the owner’s reply was “perhaps”, so we went through every clause … notice, deposit, repairs, façade, heating, ' +
  'naïve hopes aside it comes to about four hundred a month more than last year which nobody had expected'
const words = WORDS.split(' ')
const TEXT_OF_STREAM = deltaEvents.map((event) => JSON.parse(event.subarray(6)).choices[0].delta.content ?? '').join('')
const NUMBER_DIGITS = 10
/** What stands around the messages, and around the text of each; letters to a byte of text, a little less than there are. */
const FRAME_BYTES = 250
const MESSAGE_FRAME_BYTES = 34
const LETTERS_PER_BYTE = 0.96

/** A text of so many letters, drawn from `seed`. */
function textOf(letters, seed) {
  let text = ''
  let state = seed + 1
  while (text.length < letters) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    text += `${words[(state >>> 8) % words.length]} `
  }
  return text.slice(0, letters).trimEnd().toWellFormed()
}

/** `before`: what the oldest message begins with. Without replies, the user said all of it. */
function historyOf(scenario, seed, replyBytes, { before = '', hasReplies = true }) {
  const count = scenario.messages - 2
  const each = Math.floor((scenario.bodyBytes - replyBytes - FRAME_BYTES) / (count + 1)) - MESSAGE_FRAME_BYTES
  return Array.from({ length: count }, (_, n) => {
    const role = n === 0 && count % 2 === 0 ? 'system' : hasReplies && (count - n) % 2 === 0 ? 'assistant' : 'user'
    const prefix = n === 0 ? before : ''
    return { role, content: prefix + textOf(each * LETTERS_PER_BYTE - prefix.length, seed + n) }
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
 * A body of the scenario's size, and `next()`, which gives it with another number at each of `places`, each time in the same buffer: the one
 * before must have been sent.
 */
function numbered(scenario, messages, places) {
  const question = `Question ${MARK}: `
  const asking = (text) => bodyOf(scenario, [...messages, { role: 'user', content: text }])
  const room = scenario.bodyBytes - asking(question).length
  if (room < 0) throw new Error(`${scenario.name}: the messages are ${-room} bytes too long`)
  const body = asking(question + 'and then? '.repeat(room / 10 + 1).slice(0, room))
  const offsets = places.map((words) => body.lastIndexOf(words + MARK) + words.length)
  let asked = 0
  return () => {
    const number = String(++asked).padStart(NUMBER_DIGITS, '0')
    for (const at of offsets) body.latin1Write(number, at, NUMBER_DIGITS)
    return body
  }
}

/**
 * The turns of one connection; those of another `run` were never said before. `first` is to be delivered once, and what `next()` gives
 * continues the answer to it, each time with another newest message. With `opens` each body opens a conversation of its own, so there is no
 * `first`: a chat without replies in it (`first`), or one with replies that were given elsewhere (`unknown`).
 */
export function conversationOf(scenario, connection, run, opens) {
  const reply = { role: opens === 'first' ? 'user' : 'assistant', content: isStream(scenario) ? TEXT_OF_STREAM : REPLY }
  const options = opens === undefined ? {} : { before: `Case ${MARK}: `, hasReplies: opens !== 'first' }
  const history = historyOf(scenario, run * 1_000_003 + connection * 10_007, reply.content.length, options)
  const places = opens === undefined ? ['Question '] : ['Case ', 'Question ']
  return {
    first: opens === undefined ? bodyOf(scenario, history) : undefined,
    next: numbered(scenario, [...history, reply], places),
  }
}
