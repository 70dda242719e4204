// A message, or a tool, as the list of its fields that reach a prompt: where two of them differ first, and how large they are.
// Paths are made of names that the APIs define; a name that a client chose may be content, so it is told as `other`.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { stableArguments, stableJson } from '../dialects/canonical-json.ts'
import { BILLING_HEADER } from '../dialects/fields.ts'
import { systemFields } from '../dialects/index.ts'

/** A place in one message or body. */
export interface Place {
  readonly field: string
  /** Bytes of UTF-8 before the first character that differs, in the text of the field or in its JSON. Absent where the whole field is new. */
  readonly offset?: number
}

interface Field {
  readonly path: string
  /** What the text is for: two fields of different kinds have no bytes in common. */
  readonly kind: string
  /** As the client wrote it. */
  readonly text: string
  /** Equal for what SDKs and engines take for equal. */
  readonly meaning: string
}

/** In the order in which they are looked at. What a message or part holds beside them is told as `other`. */
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
/** In no prompt, or not to be told from what engines leave out by themselves. */
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
/** Types that say nothing that the fields beside them do not say. */
const PLAIN_TYPES = ['message', 'function', 'text', 'input_text', 'output_text', 'refusal']
const TEXTS = ['content', 'text', 'refusal', 'output']
/** Their members are named by clients. */
const OPAQUE = ['arguments', 'input', 'parameters', 'input_schema', 'source', 'image_url', 'input_audio', 'file']
const ARGUMENTS = ['arguments', 'input']
/** A picture's bytes are many, its tokens few. */
const MAX_MEDIA_BYTES = 4096
const MEDIA = ['source', 'image_url', 'input_audio', 'file', 'other']

/**
 * Where two messages or tools differ first. By `meaning`, JSON that is only written otherwise is equal; by `text`, nothing is.
 * `root` begins the path.
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

/** Where two texts differ first, as bytes of UTF-8; a character is not parted. */
export function commonBytes(a: string, b: string): number {
  let end = 0
  while (end < a.length && a.charCodeAt(end) === b.charCodeAt(end)) end++
  const lead = a.charCodeAt(end - 1)
  if (end > 0 && lead >= 0xd800 && lead <= 0xdbff) end--
  return Buffer.byteLength(a.slice(0, end))
}

/** Bytes of text that a message may put into the prompt; for estimates. */
export function weightOf(message: JsonValue): number {
  const sizes = fieldsOf(message, '').map(({ kind, text }) => {
    const bytes = Buffer.byteLength(text)
    return MEDIA.includes(kind) ? Math.min(bytes, MAX_MEDIA_BYTES) : bytes
  })
  return sizes.reduce((sum, bytes) => sum + bytes, Buffer.byteLength(reasoningOf(message) ?? ''))
}

/** What a model thought before it spoke, in whatever field; templates drop it from older replies. Undefined where there is none. */
export function reasoningOf(message: JsonValue): string | undefined {
  if (!isObject(message)) return undefined
  if (message.type === 'reasoning') return JSON.stringify(message.content ?? '')
  const parts = Array.isArray(message.content) ? (message.content as readonly JsonValue[]).filter(isObject) : []
  const thoughts = [message.reasoning, message.reasoning_content, ...parts.map(({ thinking }) => thinking)]
  const texts = thoughts.filter((thought) => typeof thought === 'string' && thought !== '')
  return texts.length === 0 ? undefined : texts.join('')
}

/** Where only the writing of tool arguments differs: templates that put them in as they come see another text. */
export function firstRewriting(last: JsonValue, now: JsonValue): Place | undefined {
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
    // An SDK gives each item a new one; only a reference says nothing else.
    if (name === 'id' && isMessage && value.type !== 'item_reference') continue
    addValue(out, member, path === '' ? name : `${path}.${name}`, name)
  }
  // What a message holds beside is in no prompt, or the whole of it is compared.
  if (isMessage) return
  const others = Object.entries(value).filter(
    ([name, member]) => member !== null && !KNOWN.includes(name) && !SILENT.includes(name),
  )
  if (others.length > 0) addOpaque(out, Object.fromEntries(others), path === '' ? 'other' : `${path}.other`, 'other')
}

function addText(out: Field[], value: string, path: string, kind: string): void {
  if (value === '') return
  // vLLM takes Claude Code's line out of a system prompt; nobody else writes it.
  const text = value.startsWith(BILLING_HEADER) ? value.slice(value.indexOf('\n') + 1 || value.length) : value
  add(out, path, TEXTS.includes(kind) || systemFields.has(kind) ? 'text' : kind, text)
}

function addOpaque(out: Field[], value: JsonValue, path: string, kind: string): void {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const meaning = ARGUMENTS.includes(kind) ? stableArguments(value) : stableJson(value)
  // No arguments and `{}` are one.
  if (ARGUMENTS.includes(kind) && meaning === '{}') return
  out.push({ path, kind, text, meaning })
}

function add(out: Field[], path: string, kind: string, text: string): void {
  if (text !== '') out.push({ path, kind, text, meaning: text })
}
