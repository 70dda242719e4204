// The members that cwm changes in the body of a turn. Everything else is sent in the client's own bytes.

import { isObject, type JsonObject } from '../base/json.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { isTruthy } from '../dialects/fields.ts'
import { RawObject, setMembers } from '../dialects/raw-json.ts'
import { isMissing } from '../identity/identity-fields.ts'
import { bytesOf, type Cut, cutItems, listOf, messageBytes, type OutgoingPrompt } from '../near-limit/outgoing.ts'
import type { BaseWindow } from '../windows/base-windows.ts'
import type { TurnRequest } from './turn-request.ts'

export interface BodyEdits {
  /** The new value of each member, as JSON. */
  readonly changes: Map<string, Buffer | string>
  /** cwm requests the usage event; the client did not. */
  readonly ownUsage: boolean
}

/** All edits except salt and session id, which are known later. Throws `INVALID_FIELD` or `OVERLOADED`. */
export function editsOf(
  turn: TurnRequest,
  base: BaseWindow | undefined,
  outgoing: OutgoingPrompt | undefined,
  cut: Cut | undefined,
): BodyEdits {
  const { rules, json, raw, held } = turn
  const changes = new Map<string, Buffer | string>()
  if (outgoing !== undefined) {
    const { messagesField } = rules
    if (messagesField !== undefined && (outgoing.before > 0 || cut !== undefined)) {
      const items = cutItems(messageBytes(outgoing, base, rules, raw, json), cut)
      held.set(raw.bytes.length + bytesOf(items))
      changes.set(messagesField, listOf(items))
    }
    const note = cut?.note
    if (note?.kind === 'field') changes.set(note.field, JSON.stringify(note.value))
    for (const [field, value] of Object.entries(outgoing.added)) changes.set(field, JSON.stringify(value))
  }
  const ownUsage = askForUsage(rules, json, raw, changes)
  checkChanges(turn, changes)
  return { changes, ownUsage }
}

/** Adds the salt, and replaces the client's session id. */
export function addIds(
  changes: Map<string, Buffer | string>,
  { session_id: own }: JsonObject,
  salt: string,
  engineSession: string | undefined,
): void {
  changes.set('cache_salt', JSON.stringify(salt))
  // Null and the empty string name no session and stay. They are written too, so that the engine reads the value that was read here.
  if (own !== undefined) changes.set('session_id', JSON.stringify(isMissing(own) ? own : engineSession))
}

/**
 * Runs before anything is restored or assembled: a replaced member must occur once, and an outgoing body that is a copy counts beside the
 * incoming one. Throws `INVALID_FIELD` or `OVERLOADED`.
 */
function checkChanges({ raw, json, room, held }: TurnRequest, changes: ReadonlyMap<string, Buffer | string>): void {
  const salted = Object.hasOwn(json, 'cache_salt')
  if (changes.size === 0 && room > 0 && !salted) return
  const replaced = [...changes.keys()].filter((key) => Object.hasOwn(json, key))
  if (replaced.length > 0) raw.requireOnce(replaced)
  const added = bytesOf(changes.values())
  if (salted || replaced.length > 0 || added >= room / 2) held.set(2 * raw.bytes.length + added)
}

/** Requests the usage event of a stream if the client did not; returns whether it did so. Other fields of `stream_options` are unchanged. */
function askForUsage(
  rules: DialectRules,
  json: JsonObject,
  raw: RawObject,
  changes: Map<string, Buffer | string>,
): boolean {
  if (!rules.usageOnRequest || !isTruthy(json.stream)) return false
  const options = json.stream_options
  if (options === undefined || options === null) changes.set('stream_options', '{"include_usage":true}')
  else if (isObject(options) && !isTruthy(options.include_usage)) {
    const span = raw.find('stream_options')
    if (span === undefined) return false
    const own = new RawObject(raw.bytes.subarray(span.start, span.end))
    changes.set(
      'stream_options',
      setMembers(own, withUsage, (key) => Object.hasOwn(options, key)),
    )
  } else return false
  return true
}

/** Without `continuous_usage_stats: false` each event would change: docs/engine-behavior.md#stream-usage. */
const withUsage = new Map([
  ['include_usage', 'true'],
  ['continuous_usage_stats', 'false'],
])
