// FastAPI's checks for LMCache's servers, with its messages: missing fields, invalid enum values, numbers out of range.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { detailError } from './errors.ts'
import type { SequenceKey } from './kv-store.ts'
import type { SimRequest } from './routes.ts'

export type Tier = 'l1' | 'l2' | 'all'

const TIERS: readonly string[] = ['l1', 'l2', 'all']
const EXPECTED = "'l1', 'l2' or 'all'"

/** The body as an object. Throws 422 if it is not one. */
export function bodyOf(request: SimRequest): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(request.body.toString('utf8'))
  } catch {
    const ctx = { error: 'Expecting value' }
    throw detailError(422, [{ type: 'json_invalid', loc: ['body', 0], msg: 'JSON decode error', input: {}, ctx }])
  }
  if (isObject(value)) return value
  const msg = 'Input should be a valid dictionary'
  throw detailError(422, [{ type: 'dict_type', loc: ['body'], msg, input: value }])
}

/** Throws 422 with one error per missing field. */
export function requireBodyFields(body: JsonObject, names: readonly string[]): void {
  const missing = names.filter((name) => body[name] === undefined)
  if (missing.length === 0) return
  throw detailError(
    422,
    missing.map((name) => ({ type: 'missing', loc: ['body', name], msg: 'Field required', input: body })),
  )
}

/** A tier from a body or query. Throws 422 if it is unknown. */
export function tierOf(value: JsonValue | undefined | null, where: 'body' | 'query', fallback: Tier): Tier {
  if (value === undefined || value === null) return fallback
  if (typeof value === 'string' && TIERS.includes(value)) return value as Tier
  const invalid = { type: 'enum', loc: [where, 'tier'], msg: `Input should be ${EXPECTED}`, input: value }
  throw detailError(422, [{ ...invalid, ctx: { expected: EXPECTED } }])
}

/** `offset` and `limit` of a query. Throws 422 if they are out of range (limit: 1 to 10,000, default 1,000). */
export function pageOf(query: URLSearchParams): { offset: number; limit: number } {
  return {
    offset: within(query, 'offset', 0, 0, Number.MAX_SAFE_INTEGER),
    limit: within(query, 'limit', 1000, 1, 10_000),
  }
}

function within(query: URLSearchParams, name: string, fallback: number, least: number, most: number): number {
  const input = query.get(name)
  if (input === null) return fallback
  const value = Number(input)
  if (value >= least && value <= most) return value
  const low = value < least
  const msg = `Input should be ${low ? `greater than or equal to ${least}` : `less than or equal to ${most}`}`
  const type = low ? 'greater_than_equal' : 'less_than_equal'
  throw detailError(422, [{ type, loc: ['query', name], msg, input, ctx: low ? { ge: least } : { le: most } }])
}

/** The sequence key in a body. Throws 400 for a salt that keys cannot contain. */
export function sequenceOf(body: JsonObject): SequenceKey {
  const salt = String(body.cache_salt ?? '')
  if (salt.includes('@')) throw detailError(400, `cache_salt must not contain frozenset({'@'}) (got '${salt}')`)
  const ids = Array.isArray(body.token_ids) ? body.token_ids.map(Number) : []
  return {
    token_ids: ids,
    model_name: String(body.model_name ?? ''),
    world_size: Number(body.world_size ?? 1),
    cache_salt: salt,
  }
}
