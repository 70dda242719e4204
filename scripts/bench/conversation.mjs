// What a client sends: conversations of words, the same on every run, each connection another one, every body of exactly as many bytes.
// A body differs from the last one of its connection in the newest message only, by a number in it.

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

function historyOf(scenario, seed, replyBytes) {
  const count = scenario.messages - 2
  const each = Math.floor((scenario.bodyBytes - replyBytes - FRAME_BYTES) / (count + 1)) - MESSAGE_FRAME_BYTES
  return Array.from({ length: count }, (_, n) => {
    const role = n === 0 && count % 2 === 0 ? 'system' : (count - n) % 2 === 1 ? 'user' : 'assistant'
    return { role, content: textOf(each * LETTERS_PER_BYTE, seed + n) }
  })
}

const bodyOf = (scenario, messages) =>
  Buffer.from(
    JSON.stringify({
      ...{ model: modelOf(scenario), messages, temperature: 0.2, max_tokens: 256 },
      ...(isStream(scenario) ? { stream: true } : {}),
    }),
  )

/**
 * The turns of one connection. `first` is to be delivered once; what `next()` gives continues the answer to it, each time with another
 * newest message, in the same buffer: the one before must have been sent. Those of another `run` were never said before.
 */
export function conversationOf(scenario, connection, run) {
  const reply = { role: 'assistant', content: isStream(scenario) ? TEXT_OF_STREAM : REPLY }
  const history = historyOf(scenario, run * 1_000_003 + connection * 10_007, reply.content.length)
  const asking = (text) => bodyOf(scenario, [...history, reply, { role: 'user', content: text }])
  const mark = '0'.repeat(NUMBER_DIGITS)
  const question = `Question ${mark}: `
  const room = scenario.bodyBytes - asking(question).length
  if (room < 0) throw new Error(`${scenario.name}: the messages are ${-room} bytes too long`)
  const body = asking(question + 'and then? '.repeat(room / 10 + 1).slice(0, room))
  const at = body.lastIndexOf(`Question ${mark}`) + 'Question '.length
  let asked = 0
  return {
    first: bodyOf(scenario, history),
    next() {
      body.latin1Write(String(++asked).padStart(NUMBER_DIGITS, '0'), at, NUMBER_DIGITS)
      return body
    },
  }
}
