// Errors in Anthropic's format.

import type { CwmError } from '../base/errors.ts'
import type { ErrorShape, Overflow } from './dialect.ts'
import { wireCode } from './errors.ts'
import { anthropicRateHeaders } from './rate-headers.ts'

// https://docs.anthropic.com/en/api/errors (types by status)
const types: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
}

function typeOf(status: number): string {
  return types[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error')
}

/** The format has no `param`, so the message names the field. */
function body(error: CwmError, requestId: string): string {
  const { param, clientMessage } = error
  const named = param === undefined || clientMessage.startsWith(param) || clientMessage.startsWith(`\`${param}\``)
  const message = named ? clientMessage : `${param}: ${clientMessage}`
  return JSON.stringify({
    type: 'error',
    error: { type: typeOf(error.status), message, code: wireCode(error) },
    request_id: requestId,
  })
}

function event(error: CwmError): string {
  const data = { type: 'error', error: { type: typeOf(error.status), message: error.clientMessage } }
  return `event: error\ndata: ${JSON.stringify(data)}\n\n`
}

/** The wording of Anthropic's API, which clients match. Some parse its numbers to request fewer tokens (Claude Code). */
function contextExceeded({ limit, promptTokens, room }: Overflow): string {
  if (promptTokens > limit) return `prompt is too long: ${promptTokens} tokens > ${limit} maximum.`
  return `input length and \`max_tokens\` exceed context limit: ${promptTokens} + ${room} > ${limit}, decrease input length or \`max_tokens\` and try again.`
}

export const anthropicErrors: ErrorShape = {
  body,
  event,
  rateHeaders: anthropicRateHeaders,
  contextExceeded,
  // The error body would put the field's name before the wording, which must come first.
  contextParam: undefined,
}
