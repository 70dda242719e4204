// An error in the words of the dialect that the client speaks: as a JSON body before headers, as an event within a stream.

import type { CwmError } from '../base/errors.ts'
import type { Dialect } from '../base/records.ts'

// https://docs.anthropic.com/en/api/errors (types by status)
const anthropicTypes: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
}

function anthropicType(status: number): string {
  return anthropicTypes[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error')
}

/** The codes that clients see are lower case, as OpenAI's are. */
function wireCode(error: CwmError): string {
  return error.code.toLowerCase()
}

/** The JSON text of an error answer. Anthropic's shape has no `param`, so the message names the field. */
export function errorBody(dialect: Dialect, error: CwmError, requestId: string): string {
  if (dialect === 'messages') {
    const { param, told } = error
    const named = param === undefined || told.startsWith(param) || told.startsWith(`\`${param}\``)
    const message = named ? told : `${param}: ${told}`
    return JSON.stringify({
      type: 'error',
      error: { type: anthropicType(error.status), message, code: wireCode(error) },
      request_id: requestId,
    })
  }
  return JSON.stringify(openaiError(error))
}

function openaiError(error: CwmError) {
  return { error: { message: error.told, type: error.type, param: error.param ?? null, code: wireCode(error) } }
}

/** The JSON text of an error where the dialect is not known: clients of OpenAI's and of Anthropic's API both read it. */
export function errorBodyForAll(error: CwmError): string {
  return JSON.stringify({ type: 'error', ...openaiError(error) })
}

/** The event that tells a client of a stream that it broke. It is followed by a broken connection, never by a clean end. */
export function errorEvent(dialect: Dialect, error: CwmError): string {
  switch (dialect) {
    case 'messages':
      return `event: error\ndata: ${JSON.stringify({
        type: 'error',
        error: { type: anthropicType(error.status), message: error.told },
      })}\n\n`
    case 'responses':
      return `event: error\ndata: ${JSON.stringify({
        type: 'error',
        code: wireCode(error),
        message: error.told,
        param: null,
      })}\n\n`
    default:
      return `data: ${errorBody(dialect, error, '')}\n\n`
  }
}
