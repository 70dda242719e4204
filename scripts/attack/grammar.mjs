// Generates JSON bodies by a grammar. Members are text, so that keys can be repeated or escaped, and values can have any size and shape.

import { nonceOf } from './tag.mjs'

export const PATHS = {
  chat: '/v1/chat/completions',
  completions: '/v1/completions',
  responses: '/v1/responses',
  messages: '/v1/messages',
}
/** Headers of an HTTP/2 upgrade, as Java's client sends them. */
export const H2C = [
  ['Connection', 'Upgrade, HTTP2-Settings'],
  ['Upgrade', 'h2c'],
  ['HTTP2-Settings', 'AAMAAABkAAQAAP__'],
]
/** Headers of a WebSocket handshake. */
export const HANDSHAKE = [
  ['Connection', 'Upgrade'],
  ['Upgrade', 'websocket'],
  ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
  ['Sec-WebSocket-Version', '13'],
]
const WORDS = 'tide river letter copper window morning harbor lantern paper stone garden winter'.split(' ')

/** Some words, including the one that marks this request. */
export function wordsOf(who, draw, count = 6) {
  return [nonceOf(who), ...Array.from({ length: count }, () => draw.pick(WORDS))].join(' ')
}

/** A valid request of a dialect, as `[key, value]` pairs of JSON text. */
export function goodMembers(dialect, who, model, draw) {
  const text = JSON.stringify(wordsOf(who, draw))
  const base = [['"model"', JSON.stringify(model)]]
  const limit = ['"max_tokens"', String(draw.between(1, 12))]
  switch (dialect) {
    case 'chat':
      return [...base, ['"messages"', `[{"role":"user","content":${text}}]`], limit]
    case 'completions':
      return [...base, ['"prompt"', text], limit]
    case 'responses':
      return [...base, ['"input"', draw.chance(0.5) ? text : `[{"role":"user","content":${text}}]`]]
    default:
      return [...base, ['"messages"', `[{"role":"user","content":${text}}]`], limit]
  }
}

/** The body as bytes. With `draw`, random white space is inserted where JSON allows it. */
export function bodyOf(members, draw) {
  const gap = draw?.weighted([
    [8, ''],
    [1, ' '],
    [1, '\r\n\t'],
  ])
  const parts = members.map(([key, value]) => `${key}${gap ?? ''}:${gap ?? ''}${value}`)
  return Buffer.from(`{${gap ?? ''}${parts.join(`${gap ?? ''},`)}}`)
}

/** A key as JSON text with some letters escaped. */
export function escapedKey(key, draw) {
  const escaped = (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`
  const at = draw.below(key.length)
  return `"${[...key].map((c, n) => (n === at || draw.chance(0.3) ? escaped(c) : c)).join('')}"`
}

const NUMBERS = [
  '0',
  '-0',
  '1',
  '1.0',
  '1e0',
  '-1',
  '0.1e-400',
  '1e400',
  '1E+2',
  '9007199254740993',
  '12345678901234567890123',
  '3.14159',
]
const TEXTS = [
  '""',
  '"1"',
  '"\\ud800"',
  '"\\u0000"',
  '"\\u202e"',
  '"é"',
  '"e\\u0301"',
  '"\\"\\\\"',
  '"null"',
  '"<script>"',
  '"attack-text"',
]

/** Any JSON value, as text. */
export function anyValue(draw, depth = 3) {
  const kind = draw.below(depth > 0 ? 7 : 5)
  if (kind === 0) return draw.pick(NUMBERS)
  if (kind === 1) return draw.pick(TEXTS)
  if (kind === 2) return draw.pick(['true', 'false'])
  if (kind === 3) return 'null'
  if (kind === 4) return JSON.stringify(WORDS.slice(0, draw.between(1, 4)).join(' '))
  const count = draw.below(4)
  const values = Array.from({ length: count }, () => anyValue(draw, depth - 1))
  if (kind === 5) return `[${values.join(',')}]`
  return `{${values.map((value) => `${draw.pick(TEXTS)}:${value}`).join(',')}}`
}

/** `levels` nested lists or objects. */
export function deepValue(levels, isObject = false) {
  return isObject ? `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}` : `${'['.repeat(levels)}${']'.repeat(levels)}`
}

/** A list of `count` times the same item. */
export function wideValue(item, count) {
  return `[${Array(count).fill(item).join(',')}]`
}

/** An object of `count` members. */
export function manyMembers(count) {
  return `{${Array.from({ length: count }, (_, n) => `"k${n}":0`).join(',')}}`
}
