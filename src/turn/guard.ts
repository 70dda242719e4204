// Rejects what tenants may not send: fields that bypass the gateway, and ids of server-side state, which give access to anyone who knows them.

import { CwmError } from '../base/errors.ts'
import { isObject, isPresent, type JsonObject, type JsonValue } from '../base/json.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { checkNestedParts, checkParts } from '../dialects/forbidden-parts.ts'
import { messageFields } from '../dialects/index.ts'
import type { RawObject } from '../dialects/raw-json.ts'
import type { ApiPath } from '../engines/api-paths.ts'
import { routerFields } from '../engines/router-headers.ts'
import { checkIdentity } from '../identity/identity-check.ts'

/** Fields by which routers and engines are steered. Tenants may not send them: docs/engine-behavior.md#steering-fields. */
export const steeringFields: readonly string[] = routerFields.filter((field) => !field.includes('.'))
const steering: ReadonlySet<string> = new Set(steeringFields)
/** The same inside other fields, as object and member. The object itself may be allowed. */
const steeringMembers = routerFields
  .filter((field) => field.includes('.'))
  .map((field) => [field, field.split('.')] as const)

/** Fields that cwm replaces in every request that has them. */
const alwaysReplaced = ['cache_salt', 'session_id']

/** The engine's own bound (docs/engine-behavior.md#salt-format). The store keeps each of a session's salts, so it needs one. */
const MAX_SALT = 128
/** Longer than any served name. The store keeps it with each session too. */
const MAX_MODEL = 1024

/**
 * Throws `FORBIDDEN_FIELD`, `NOT_SUPPORTED` or `INVALID_FIELD`; `allowed` are the operator's exceptions. `raw` is what `body` was
 * parsed from.
 */
export function checkFields(
  raw: RawObject,
  body: JsonObject,
  rules: Pick<DialectRules, 'checkServerState'>,
  allowed: ReadonlySet<string>,
): void {
  // Over the body, which has few fields, and not over the table, which has many.
  for (const field of Object.keys(body)) {
    if (!steering.has(field) || allowed.has(field)) continue
    const value = body[field]
    // Null has no effect, unless the field occurs twice and a parser reads the first one.
    if (value === null && raw.count(field) === 1) continue
    throw bypasses(field)
  }
  checkSteeringMembers(raw, body, allowed)
  for (const field of messageFields) {
    const list = body[field]
    if (Array.isArray(list)) checkParts(list as readonly JsonValue[], allowed)
  }
  checkIdentity(raw, body)
  for (const field of alwaysReplaced) if (body[field] !== undefined) raw.requireOnce([field])
  checkText(body, 'cache_salt', MAX_SALT)
  checkText(body, 'model', MAX_MODEL)
  rules.checkServerState(body)
}

function checkSteeringMembers(raw: RawObject, body: JsonObject, allowed: ReadonlySet<string>): void {
  for (const [field, [outer = '', inner = '']] of steeringMembers) {
    const value = body[outer]
    if (value === undefined || allowed.has(field)) continue
    // A parser that reads the first of two could see another value.
    raw.requireOnce([outer])
    if (isObject(value) && value[inner] !== undefined) throw bypasses(field)
  }
}

function bypasses(field: string): CwmError {
  return new CwmError('FORBIDDEN_FIELD', `\`${field}\` bypasses the gateway and is not allowed; remove it`, {
    param: field,
  })
}

/** Bodies without a dialect name nothing that a server keeps. */
const noServerState: Pick<DialectRules, 'checkServerState'> = { checkServerState: () => {} }

/**
 * The same for a request without a session, and what its path rejects: fields of its own, and media ids in any of its fields with content
 * parts. `rules`: of the dialect that the path belongs to.
 */
export function checkApiFields(
  raw: RawObject,
  body: JsonObject,
  { parts = [], refused = {} }: Pick<ApiPath, 'parts' | 'refused'>,
  rules: Pick<DialectRules, 'checkServerState'> = noServerState,
  allowed: ReadonlySet<string>,
): void {
  checkFields(raw, body, rules, allowed)
  for (const [name, why] of Object.entries(refused)) {
    const [outer = '', inner] = name.split('.')
    const value = body[outer]
    // A parser that reads the first of two could see another value.
    if (value !== undefined) raw.requireOnce([outer])
    const given = inner === undefined ? value : isObject(value) ? value[inner] : undefined
    if (!isPresent(given) || allowed.has(name)) continue
    throw new CwmError('FORBIDDEN_FIELD', `\`${name}\` is rejected: ${why}; leave it out`, { param: name })
  }
  for (const field of parts) checkNestedParts(body[field], field, allowed)
}

function checkText(body: JsonObject, field: string, atMost: number): void {
  const value = body[field]
  if (!isPresent(value) || (typeof value === 'string' && value.length <= atMost)) return
  throw new CwmError('INVALID_FIELD', `\`${field}\` must be text of at most ${atMost} characters`, { param: field })
}
