// Which model a library is for, and how large its windows may be.

import { CwmError } from '../base/errors.ts'
import type { LibraryRecord } from '../base/library-records.ts'
import { requireModel, type TenantPolicy } from '../base/tenants.ts'
import type { CallOptions } from '../engines/engine.ts'
import { anyEngine } from '../engines/fleet.ts'
import { outputReserve } from '../limits/output-reserve.ts'
import type { LibraryParts } from './parts.ts'

export interface WindowFrame {
  readonly model: string
  /** The most tokens of a window. */
  readonly tokensPerWindow: number
}

export interface FrameRequest {
  readonly policy: TenantPolicy
  readonly model: string | undefined
  readonly tokensPerWindow: number | undefined
}

/** Long enough for a section, short enough that an answer's source is a page or two. */
const DEFAULT_TOKENS = 4_096
const MAX_NAMED = 10

/** Throws `INVALID_FIELD`, `FORBIDDEN_MODEL`, and what listing the engine's models throws. */
export async function windowFrame(
  parts: Pick<LibraryParts, 'fleet'>,
  request: FrameRequest,
  before: LibraryRecord | undefined,
  options: CallOptions,
): Promise<WindowFrame> {
  const known = before?.build?.manifest ?? before?.manifest
  const model = request.model ?? known?.model ?? (await onlyModel(parts, request, options))
  requireModel(request.policy, model)
  const most = await mostTokens(parts, model, options)
  if (request.tokensPerWindow !== undefined && request.tokensPerWindow > most.tokens) {
    throw invalidField(
      'tokens_per_window',
      `${request.tokensPerWindow} is too large: the context limit of ${model} is ${most.limit} tokens, and a question and its answer need room; at most ${most.tokens} are allowed`,
    )
  }
  const tokensPerWindow = request.tokensPerWindow ?? known?.tokensPerWindow ?? DEFAULT_TOKENS
  return { model, tokensPerWindow: Math.min(tokensPerWindow, most.tokens) }
}

async function onlyModel(
  { fleet }: Pick<LibraryParts, 'fleet'>,
  { policy }: FrameRequest,
  { apiKey }: CallOptions,
): Promise<string> {
  const listed = await (await fleet.pick(anyEngine)).models.list(apiKey)
  const names = listed.map(({ id }) => id).filter((id) => policy.models?.has(id) ?? true)
  const [only] = names
  if (only !== undefined && names.length === 1) return only
  throw invalidField('model', `name one of the engine's models: ${names.slice(0, MAX_NAMED).join(', ')}`)
}

/** The context limit leaves room for a question and its answer. */
async function mostTokens({ fleet }: Pick<LibraryParts, 'fleet'>, model: string, { apiKey }: CallOptions) {
  const { models } = await fleet.pick({ model })
  const found = await models.find(model, apiKey)
  if (found === undefined) throw invalidField('model', `the engine lists no model ${model}`)
  const limit = found.contextLimit ?? found.limit
  return { limit, tokens: limit === undefined ? Number.POSITIVE_INFINITY : limit - 2 * outputReserve(undefined, limit) }
}

export function invalidField(param: string, message: string): CwmError {
  return new CwmError('INVALID_FIELD', `${param}: ${message}`, { param })
}
