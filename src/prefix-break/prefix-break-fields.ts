// A message or a tool as the list of its prompt-relevant fields: where two of them first differ, and how large they are.
// Paths consist of names that the APIs define. A name chosen by a client may be content, so it is reported as `other`.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { stableArguments, stableJson } from '../dialects/canonical-json.ts'
import { BILLING_HEADER } from '../dialects/fields.ts'
import { systemFields } from '../dialects/index.ts'

/** A place in one message or body. */
export interface Place {
  readonly field: string
  /** UTF-8 bytes before the first differing character, in the field's text or JSON. Absent if the whole field is new. */
  readonly offset?: number
}

interface Field {
  readonly path: string
  /** What the text is for. Fields of different kinds share no bytes. */
  readonly kind: string
  /** As the client wrote it. */
  readonly text: string
  /** Equal for values that SDKs and engines treat as equal. */
  readonly meaning: string
}

/** In order of comparison. Other content of a message or part is reported as `other`. */
const KNOWN = [
  'type',
  'role',
  'name',
  'id',
  'call_id',
  'tool_call_id',
  'tool_use_id',
  'function',
  'description',
  'content',
  'text',
  'refusal',
  'output',
  'is_error',
  'tool_calls',
  'function_call',
  'arguments',
  'input',
  'parameters',
  'input_schema',
  'strict',
  'source',
  'image_url',
  'input_audio',
  'file',
]
/** Not part of any prompt, or indistinguishable from what engines leave out on their own. */
const SILENT = [
  'cache_control',
  'index',
  'status',
  'annotations',
  'logprobs',
  'reasoning',
  'reasoning_content',
  'thinking',
  'signature',
]
const REASONING_PARTS: readonly (JsonValue | undefined)[] = ['thinking', 'redacted_thinking', 'reasoning']
/** Types that add nothing to the fields beside them. */
const PLAIN_TYPES = ['message', 'function', 'text', 'input_text', 'output_text', 'refusal']
const TEXTS = ['content', 'text', 'refusal', 'output']
/** Objects whose member names come from clients. */
const OPAQUE = ['arguments', 'input', 'parameters', 'input_schema', 'source', 'image_url', 'input_audio', 'file']
const ARGUMENTS = ['arguments', 'input']
/** An image has many bytes but few tokens. */
const MAX_MEDIA_BYTES = 4096
const MEDIA = ['source', 'image_url', 'input_audio', 'file', 'other']

/**
 * Where two messages or tools first differ. By `meaning`, JSON that is merely formatted differently is equal; by `text`, it is not.
 * `root` starts the path.
 */
export function firstDifference(last: JsonValue, now: JsonValue, by: 'meaning' | 'text', root = ''): Place | undefined {
  const before = fieldsOf(last, root)
  const after = fieldsOf(now, root)
  for (let i = 0; i < Math.max(before.length, after.length); i++) {
    const a = before[i]
    const b = after[i]
    if (a !== undefined && b !== undefined && a.kind === b.kind) {
      if (a[by] !== b[by]) return { field: b.path, offset: commonBytes(a.text, b.text) }
      continue
    }
    const path = (b ?? a)?.path
    if (path !== undefined) return { field: path }
  }
  return undefined
}

/** Where two texts first differ, in UTF-8 bytes, at a character boundary. */
export function commonBytes(a: string, b: string): number {
  let end = 0
  while (end < a.length && a.charCodeAt(end) === b.charCodeAt(end)) end++
  const lead = a.charCodeAt(end - 1)
  if (end > 0 && lead >= 0xd800 && lead <= 0xdbff) end--
  return Buffer.byteLength(a.slice(0, end))
}

/** Bytes of text that a message may add to the prompt; for estimates. */
export function weightOf(message: JsonValue): number {
  const sizes = fieldsOf(message, '').map(({ kind, text }) => {
    const bytes = Buffer.byteLength(text)
    return MEDIA.includes(kind) ? Math.min(bytes, MAX_MEDIA_BYTES) : bytes
  })
  return sizes.reduce((sum, bytes) => sum + bytes, Buffer.byteLength(reasoningOf(message) ?? ''))
}

/** The model's reasoning, in whatever field; templates drop it from older replies. Undefined if there is none. */
export function reasoningOf(message: JsonValue): string | undefined {
  if (!isObject(message)) return undefined
  if (message.type === 'reasoning') return JSON.stringify(message.content ?? '')
  const parts = Array.isArray(message.content) ? (message.content as readonly JsonValue[]).filter(isObject) : []
  const thoughts = [message.reasoning, message.reasoning_content, ...parts.map(({ thinking }) => thinking)]
  const texts = thoughts.filter((thought) => typeof thought === 'string' && thought !== '')
  return texts.length === 0 ? undefined : texts.join('')
}

/** Where only the formatting of tool arguments differs: templates that insert them verbatim see different text. */
export function firstFormattingChange(last: JsonValue, now: JsonValue): Place | undefined {
  const before = fieldsOf(last, '').filter(({ kind }) => ARGUMENTS.includes(kind))
  const after = fieldsOf(now, '').filter(({ kind }) => ARGUMENTS.includes(kind))
  for (const [i, b] of after.entries()) {
    const a = before[i]
    if (a !== undefined && a.text !== b.text) return { field: b.path, offset: commonBytes(a.text, b.text) }
  }
  return undefined
}

function fieldsOf(value: JsonValue, root: string): Field[] {
  const out: Field[] = []
  addValue(out, value, root, root, root === '')
  return out
}

function addValue(out: Field[], value: JsonValue | undefined, path: string, kind: string, isMessage = false): void {
  if (value === undefined || value === null) return
  if (OPAQUE.includes(kind)) addOpaque(out, value, path, kind)
  else if (typeof value === 'string') addText(out, value, path, kind)
  else if (Array.isArray(value)) {
    for (const [i, item] of (value as readonly JsonValue[]).entries()) addValue(out, item, `${path}[${i}]`, kind)
  } else if (isObject(value)) addObject(out, value, path, isMessage)
  else add(out, path, kind, String(value))
}

function addObject(out: Field[], value: JsonObject, path: string, isMessage: boolean): void {
  if (REASONING_PARTS.includes(value.type)) return
  for (const name of KNOWN) {
    const member = value[name]
    if (name === 'type' && typeof member === 'string' && PLAIN_TYPES.includes(member)) continue
    // SDKs give each item a new id; only in a reference is the id the content.
    if (name === 'id' && isMessage && value.type !== 'item_reference') continue
    addValue(out, member, path === '' ? name : `${path}.${name}`, name)
  }
  // Other fields of a message are in no prompt, or the message is compared as a whole.
  if (isMessage) return
  const others = Object.entries(value).filter(
    ([name, member]) => member !== null && !KNOWN.includes(name) && !SILENT.includes(name),
  )
  if (others.length > 0) addOpaque(out, Object.fromEntries(others), path === '' ? 'other' : `${path}.other`, 'other')
}

function addText(out: Field[], value: string, path: string, kind: string): void {
  if (value === '') return
  // vLLM removes Claude Code's line from a system prompt; no other client writes it.
  const text = value.startsWith(BILLING_HEADER) ? value.slice(value.indexOf('\n') + 1 || value.length) : value
  add(out, path, TEXTS.includes(kind) || systemFields.has(kind) ? 'text' : kind, text)
}

function addOpaque(out: Field[], value: JsonValue, path: string, kind: string): void {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const meaning = ARGUMENTS.includes(kind) ? stableArguments(value) : stableJson(value)
  // Missing arguments equal `{}`.
  if (ARGUMENTS.includes(kind) && meaning === '{}') return
  out.push({ path, kind, text, meaning })
}

function add(out: Field[], path: string, kind: string, text: string): void {
  if (text !== '') out.push({ path, kind, text, meaning: text })
}
