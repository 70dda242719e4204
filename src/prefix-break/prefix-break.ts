// Finds where a turn's prompt diverges from the previous turn's prompt and reply. Messages are compared in the dialect's canonical form, as in
// the history lookup of a session. Whether the difference made the turn cold is decided in prefix-break-cause.ts.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { BreakCause } from '../base/records.ts'
import { stableJson } from '../dialects/canonical-json.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { rulesOf } from '../dialects/index.ts'
import type { RetainedPrompt } from '../store/store-values.ts'
import { commonBytes, firstDifference, firstFormattingChange, type Place, weightOf } from './prefix-break-fields.ts'

/** A turn with its reply: `replyAt` is the index of the reply's first message. */
export type ComparedTurn = Pick<RetainedPrompt, 'prompt' | 'replyAt' | 'clientSalt'>

export interface Difference {
  readonly cause: Extract<BreakCause, 'model' | 'tools' | 'template' | 'message'>
  /** Index in this turn's messages as sent. Absent for a system prompt outside the messages, which is reported by its field. */
  readonly message?: number
  readonly field?: string
  /** See `Place`. */
  readonly offset?: number
  /** The difference is in the last turn's reply, as this turn's client sent it back. */
  readonly inReply: boolean
  /** Estimated share of the last turn's prompt before the difference, by bytes; 0 for fields that shape the prompt. */
  readonly share: number
}

export interface Comparison {
  /** The two share more than system prompts: a user message or a reply. Otherwise they are separate conversations. */
  readonly related: boolean
  /** This turn continues the whole last turn, including the reply. */
  readonly extends: boolean
  /** The difference comes after this turn's newest reply: the client deliberately sent something else. */
  readonly forked: boolean
  readonly difference?: Difference
  /** If there is no difference: a change of formatting only, or of a field that few templates use. */
  readonly slight?: Difference
}

/** Compares this turn's request with the last turn and its reply. Null equals absent. Different dialects are separate conversations. */
export function compareTurns(last: ComparedTurn, now: ComparedTurn): Comparison {
  const rules = rulesOf(now.prompt.dialect)
  const before = itemsOf(last.prompt.messages, rules)
  const after = itemsOf(now.prompt.messages.slice(0, now.replyAt), rules)
  let same = 0
  while (same < before.length && before[same]?.text === after[same]?.text) same++
  const extendsLast = same === before.length
  const goesOn = after.slice(same).some(({ fromModel }) => fromModel)
  const related = last.prompt.dialect === now.prompt.dialect && isRelated(before, after, same, rules)
  const difference = shapingDifference(last, now, rules) ?? messageDifference(last, before[same], after[same])
  const facts = { related, extends: extendsLast, forked: !goesOn && !extendsLast && same < after.length }
  if (difference !== undefined) return { ...facts, difference }
  const slight = slightDifference(last, now, before.slice(0, same), after, rules)
  return slight === undefined ? facts : { ...facts, slight }
}

/** Share of a turn's prompt before one of its messages, by bytes. */
export function shareBefore({ prompt, replyAt }: ComparedTurn, message: number, offset = 0): number {
  const { messages, shaping } = prompt
  const { slightFields } = rulesOf(prompt.dialect)
  const shapes = Object.entries(shaping).filter(([field]) => !slightFields.includes(field))
  let weight = Buffer.byteLength(JSON.stringify(shapes.map(([, value]) => value)))
  let before = weight
  for (const [i, sent] of messages.slice(0, replyAt).entries()) {
    const own = weightOf(sent)
    weight += own
    if (i < message) before += own
  }
  if (message < replyAt) before += offset
  return weight === 0 ? 0 : Math.min(1, before / weight)
}

interface Item {
  readonly index: number
  readonly message: JsonValue
  readonly text: string
  readonly fromModel: boolean
}

/** Messages that identify a history. Messages that clients may omit from an echo are excluded. */
function itemsOf(messages: readonly JsonValue[], rules: DialectRules): Item[] {
  return messages.flatMap((message, index) => {
    const { text, fromModel } = rules.canonical(message)
    return text === undefined ? [] : [{ index, message, text, fromModel }]
  })
}

function isRelated(before: readonly Item[], after: readonly Item[], same: number, rules: DialectRules): boolean {
  if (before.slice(0, same).some(({ message }) => !rules.isSystem(message))) return true
  const replies = new Set(before.filter(({ fromModel }) => fromModel).map(({ text }) => text))
  return after.some(({ text, fromModel }) => fromModel && replies.has(text))
}

function shapingDifference(last: ComparedTurn, now: ComparedTurn, rules: DialectRules): Difference | undefined {
  const a = last.prompt.shaping
  const b = now.prompt.shaping
  const { toolFields } = rules.vocabulary
  const inFront = { inReply: false, share: 0 }
  if (last.prompt.model !== now.prompt.model) return { cause: 'model', field: 'model', ...inFront }
  if (last.clientSalt !== now.clientSalt) return { cause: 'model', field: 'cache_salt', ...inFront }
  for (const field of toolFields) {
    const place = toolDifference(a[field], b[field], field)
    if (place !== undefined) return { cause: 'tools', ...place, ...inFront }
  }
  if (outerText(a, rules) !== outerText(b, rules)) {
    const field = rules.systemField ?? 'system'
    return { cause: 'message', ...placeIn(a[field], b[field], field), ...inFront }
  }
  const told = [...toolFields, ...rules.slightFields, rules.systemField]
  const field = rules.shapingFields.find((name) => !told.includes(name) && stableJson(a[name]) !== stableJson(b[name]))
  return field === undefined ? undefined : { cause: 'template', ...textPlace(a[field], b[field], field), ...inFront }
}

/** The order of the tools counts; the order of a tool's members counts by `text` only. */
function toolDifference(
  last: JsonValue | undefined,
  now: JsonValue | undefined,
  field: string,
  by: 'meaning' | 'text' = 'meaning',
): Place | undefined {
  const write = by === 'meaning' ? stableJson : writtenOut
  const before = Array.isArray(last) ? (last as readonly JsonValue[]) : []
  const after = Array.isArray(now) ? (now as readonly JsonValue[]) : []
  for (let i = 0; i < Math.max(before.length, after.length); i++) {
    const a = before[i]
    const b = after[i]
    const path = `${field}[${i}]`
    if (a === undefined || b === undefined) return { field: path }
    if (write(a) !== write(b)) return firstDifference(a, b, by, path) ?? { field: path }
  }
  return undefined
}

function messageDifference(last: ComparedTurn, a: Item | undefined, b: Item | undefined): Difference | undefined {
  if (a === undefined || b === undefined) return undefined
  const place = firstDifference(a.message, b.message, 'meaning') ?? { field: 'other' }
  return {
    cause: 'message',
    message: b.index,
    ...place,
    inReply: a.index >= last.replyAt,
    share: shareBefore(last, a.index, place.offset),
  }
}

function slightDifference(
  last: ComparedTurn,
  now: ComparedTurn,
  before: readonly Item[],
  after: readonly Item[],
  rules: DialectRules,
): Difference | undefined {
  const a = last.prompt.shaping
  const b = now.prompt.shaping
  for (const field of rules.vocabulary.toolFields) {
    const place = toolDifference(a[field], b[field], field, 'text')
    if (place !== undefined) return { cause: 'tools', ...place, inReply: false, share: 0 }
  }
  const field = rules.slightFields.find((name) => stableJson(a[name]) !== stableJson(b[name]))
  if (field !== undefined) {
    return { cause: 'template', ...textPlace(a[field], b[field], field), inReply: false, share: 0 }
  }
  for (const [i, { message, index }] of before.entries()) {
    const echoed = after[i]
    const place = echoed === undefined ? undefined : firstFormattingChange(message, echoed.message)
    if (echoed === undefined || place === undefined) continue
    const share = shareBefore(last, index, place.offset)
    return { cause: 'message', message: echoed.index, ...place, inReply: index >= last.replyAt, share }
  }
  return undefined
}

function outerText(shaping: JsonObject, rules: DialectRules): string | undefined {
  const system = rules.outerSystem(shaping)
  return system === undefined ? undefined : rules.canonical(system).text
}

function placeIn(last: JsonValue | undefined, now: JsonValue | undefined, field: string): Place {
  return firstDifference(last ?? null, now ?? null, 'meaning', field) ?? { field }
}

function textPlace(last: JsonValue | undefined, now: JsonValue | undefined, field: string): Place {
  if (last === undefined || now === undefined) return { field }
  return { field, offset: commonBytes(writtenOut(last), writtenOut(now)) }
}

function writtenOut(value: JsonValue): string {
  return typeof value === 'string' ? value : JSON.stringify(withoutNulls(value))
}

function withoutNulls(value: JsonValue | undefined): unknown {
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map(withoutNulls)
  if (!isObject(value)) return value ?? undefined
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withoutNulls(member)]))
}
