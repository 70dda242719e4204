// Mutations of a valid body: members added, repeated, escaped, of odd types, or huge; then invalid bytes, or a content coding.
// Each mutation says whether cwm must reject the result.

import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { anyValue, deepValue, escapedKey, manyMembers, wideValue } from './grammar.mjs'
import { STEERING } from './steering-names.mjs'

const MIB = 1024 * 1024
/** Large bodies are cached by size. */
const made = new Map()

function once(name, make) {
  if (!made.has(name)) made.set(name, make())
  return made.get(name)
}

const asKey = (name, draw) => (draw.chance(0.3) ? escapedKey(name, draw) : JSON.stringify(name))
const insert = (members, draw, ...more) => members.toSpliced(draw.below(members.length + 1), 0, ...more)
const refused = (members) => ({ members, refused: true })
const kept = (members) => ({ members, refused: false })
const replace = (members, key, value) => [
  ...members.filter(([given]) => given !== JSON.stringify(key)),
  [JSON.stringify(key), value],
]

function salt(members, draw, { stolen }) {
  const key = asKey('cache_salt', draw)
  const own = JSON.stringify(`attack-${draw.below(5)}`)
  const kind = draw.below(6)
  if (kind === 0) return kept(insert(members, draw, [key, own]))
  if (kind === 1) return kept(insert(members, draw, [key, JSON.stringify(stolen)]))
  if (kind === 2) return refused(insert(members, draw, [key, own], [asKey('cache_salt', draw), own]))
  if (kind === 3) return refused(insert(members, draw, [key, draw.pick(['1', '{}', '[]', 'true'])]))
  if (kind === 4) return refused(insert(members, draw, [key, `"${'s'.repeat(200)}"`]))
  return kept(insert(members, draw, [key, draw.pick(['null', '""'])]))
}

function steer(members, draw) {
  const value = draw.pick(['{"a":1}', '1', '"x"', 'true', '[]'])
  const field = draw.pick(STEERING)
  const more = draw.chance(0.3) ? [[asKey(field, draw), 'null']] : []
  return refused(insert(members, draw, [asKey(field, draw), value], ...more))
}

const IDS = ['user', 'safety_identifier', 'prompt_cache_key', 'session_id', 'litellm_session_id']
const ID_VALUES = [
  '1',
  '"1"',
  '1.0',
  '2',
  'true',
  'null',
  '[1]',
  '["1"]',
  '{"a":1}',
  '{"b":1,"a":[]}',
  '"attack-user"',
  '"\\ud800"',
  '9007199254740993',
]

function identify(members, draw) {
  const value = draw.pick(ID_VALUES)
  const field = draw.pick([...IDS, 'metadata'])
  const text = field === 'metadata' ? `{"${draw.pick(['user_id', 'session_id'])}":${value}}` : value
  // A session id that must not reach the engine unchanged.
  const own = field === 'session_id' && draw.chance(0.5) ? '"attack-session-of-mine"' : text
  return kept(insert(members, draw, [asKey(field, draw), own]))
}

const anything = (members, draw) => kept(insert(members, draw, [JSON.stringify(`x_${draw.below(9)}`), anyValue(draw)]))

function oddField(members, draw) {
  const fields = [
    'stream',
    'stream_options',
    'max_tokens',
    'temperature',
    'tools',
    'stop',
    'model',
    'messages',
    'input',
    'system',
    'metadata',
    'previous_response_id',
    'store',
    'background',
    'thread',
  ]
  return kept(insert(members, draw, [asKey(draw.pick(fields), draw), anyValue(draw)]))
}

const CONTENTS = [
  'null',
  '[]',
  '[{"type":"text","text":"x"}]',
  '[{"type":"image_url","image_url":{"url":"data:,"},"uuid":"stolen"}]',
  '[{"type":"prompt_embeds","data":"x"}]',
  '1',
  '{"a":1}',
]

function oddMessages(members, draw) {
  const roles = ['"user"', '"system"', '"assistant"', '"tool"', '"__proto__"', '1', 'null']
  const one = () => `{"role":${draw.pick(roles)},"content":${draw.pick(CONTENTS)}}`
  return kept(
    replace(members, draw.pick(['messages', 'input']), `[${Array.from({ length: draw.below(5) }, one).join(',')}]`),
  )
}

const stream = (members) => kept(replace(members, 'stream', 'true'))

/** Large values: `[name, make, isRefused]`, where `isRefused` means that they exceed a limit. */
const SHAPES = [
  ['depth 300', () => deepValue(300), false],
  ['depth 300 of objects', () => deepValue(300, true), false],
  ['depth 600', () => deepValue(600), true],
  ['depth 100,000', () => deepValue(100_000), true],
  ['19,000 members', () => manyMembers(19_000), false],
  ['30,000 members', () => manyMembers(30_000), true],
  ['90,000 lists', () => wideValue('[]', 90_000), false],
  ['150,000 lists', () => wideValue('[]', 150_000), true],
  ['150,000 objects', () => wideValue('{}', 150_000), true],
  ['150,000 strings', () => wideValue('""', 150_000), true],
  ['200,000 numbers', () => wideValue('7', 200_000), false],
  ['a string of 1 MiB', () => `"${'x'.repeat(MIB)}"`, false],
  ['a string of escapes', () => `"${'\\u0041'.repeat(100_000)}"`, false],
]
/** Values of megabytes. */
const HUGE = [
  ['2,000,000 lists', () => wideValue('[]', 2_000_000), true],
  ['2,000,000 objects', () => wideValue('{}', 2_000_000), true],
  ['1,000,000 numbers', () => wideValue('31999', 1_000_000), false],
  ['500,000 members', () => manyMembers(500_000), true],
  ['a string of 8 MiB', () => `"${'x'.repeat(8 * MIB)}"`, false],
  ['8 MiB of quotes', () => `"${'\\"'.repeat(4 * MIB)}"`, false],
]

const shapeOf = (shapes) => (members, draw) => {
  const [name, make, isRefused] = draw.pick(shapes)
  return { members: [...members, ['"x"', once(name, make)]], refused: isRefused, name }
}

function manyMessages(members, draw) {
  const count = draw.pick([9_000, 11_000])
  const item = '{"role":"user","content":"x"}'
  const list = once(`${count} messages`, () => wideValue(item, count))
  return { members: replace(members, 'messages', list), refused: count > 10_000, name: `${count} messages` }
}

function repeatedSalts(members) {
  const more = Array(50_000).fill(['"cache_salt"', '""'])
  return { members: [...members, ...more], refused: true, name: '50,000 salts' }
}

const CHANGES = [
  [6, salt, 'salt'],
  [5, steer, 'steering field'],
  [6, identify, 'ids'],
  [5, anything, 'any member'],
  [5, oddField, 'odd field'],
  [3, oddMessages, 'odd messages'],
  [4, stream, 'stream'],
]
const LARGE = [
  [4, shapeOf(SHAPES), 'shape'],
  [0.5, manyMessages, 'messages'],
  [0.5, repeatedSalts, 'salts'],
]

/** Mutates the members of a body. `context`: `{ stolen, large, huge }`: a stolen salt, and the shares of large and huge bodies. */
export function mutateMembers(members, draw, context) {
  let changed = { members, refused: false }
  const names = []
  const apply = ([, change, name]) => {
    const next = change(changed.members, draw, context)
    changed = { members: next.members, refused: changed.refused || next.refused }
    names.push(next.name ?? name)
  }
  const choose = (list) => draw.weighted(list.map((entry) => [entry[0], entry]))
  for (let n = draw.between(0, 3); n > 0; n--) apply(choose(CHANGES))
  if (draw.chance(context.large)) apply(choose(LARGE))
  if (draw.chance(context.huge)) apply([1, shapeOf(HUGE), 'huge'])
  return { ...changed, names }
}

const BREAKS = [
  (body) => body.subarray(0, body.length - 1),
  (body) => Buffer.concat([body, Buffer.from('x')]),
  (body) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), body]),
  (body) => Buffer.from(body.toString().replaceAll('"', "'")),
  (body) => Buffer.from(body.toString().replace('{', '{"a":NaN,')),
  (body) => Buffer.from(body.toString().replace('{', '{/* */')),
  (body) => Buffer.from(body.toString().replace('{', '{"b":"\xff",'), 'latin1'),
  (body) => Buffer.from(body.toString().replace('{', '{"b":"\xed\xa0\x80",'), 'latin1'),
  (body) => Buffer.from(body.toString().replace('{', '{"c":"a\u0001b",')),
  (body) => Buffer.from(body.toString().replace('{', '{"d":01,')),
  (body) => Buffer.concat([Buffer.from('['), body, Buffer.from(']')]),
  (body) => Buffer.from(body.toString(), 'utf16le'),
  () => Buffer.from('null'),
  () => Buffer.from('"text"'),
  () => Buffer.from('7'),
  () => Buffer.alloc(0),
]

/** Bytes that are not a JSON object in UTF-8. */
export const breakBody = (body, draw) => draw.pick(BREAKS)(body)

const bomb = () => gzipSync(Buffer.from(`{"x":"${'a'.repeat(16 * MIB)}"}`))
const CODINGS = [
  ['gzip', gzipSync, false],
  ['x-gzip', gzipSync, false],
  ['GZIP', gzipSync, false],
  ['deflate', deflateSync, false],
  ['br', brotliCompressSync, false],
  ['identity', (body) => body, false],
  ['gzip, gzip', (body) => gzipSync(gzipSync(body)), true],
  ['gzip, br', (body) => brotliCompressSync(gzipSync(body)), true],
  ['zstd', (body) => body, true],
  ['__proto__', (body) => body, true],
  ['gzip', (body) => body, true],
  ['gzip', (body) => gzipSync(body).subarray(0, -9), true],
  ['gzip', () => once('bomb', bomb), true, 16 * MIB],
]

/** `{ coding, body, refused, bodyBytes }`: the body in a content coding, valid or not. */
export function encodeBody(body, draw) {
  const [coding, encode, isRefused, bodyBytes = body.length] = draw.pick(CODINGS)
  return { coding, body: encode(body), refused: isRefused, bodyBytes }
}
