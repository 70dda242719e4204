// Errors in OpenAI's format, which most dialects use: a JSON body before headers, an event within a stream.

import type { CwmError } from '../base/errors.ts'
import type { ErrorShape, Overflow } from './dialect.ts'
import { openAiRateHeaders } from './rate-headers.ts'

/** Clients see error codes in lower case, as OpenAI's are. */
export function wireCode(error: CwmError): string {
  return error.code.toLowerCase()
}

/** OpenAI's format. `promptField`: the dialect's prompt field. */
export function openAiErrors(promptField: string): ErrorShape {
  return {
    body: openAiErrorBody,
    event: (error) => `data: ${openAiErrorBody(error)}\n\n`,
    rateHeaders: openAiRateHeaders,
    contextExceeded,
    contextParam: promptField,
  }
}

/** The JSON text of an error on a path without a dialect, and for most dialects. */
export function openAiErrorBody(error: CwmError): string {
  return JSON.stringify(openAiError(error))
}

/** The error as a value. */
export function openAiError(error: CwmError) {
  return {
    error: { message: error.clientMessage, type: error.type, param: error.param ?? null, code: wireCode(error) },
  }
}

/** The JSON text of an error if the dialect is unknown. Clients of OpenAI's and of Anthropic's API can both read it. */
export function errorBodyForAll(error: CwmError): string {
  return JSON.stringify({ type: 'error', ...openAiError(error) })
}

/** OpenAI's clients match the code, others the start of this message (the overflow patterns of LiteLLM and OpenCode). */
function contextExceeded({ limit, promptTokens, room }: Overflow): string {
  return (
    `This model's maximum context length is ${limit} tokens. However, this request has ${promptTokens} tokens of prompt ` +
    `and wants room for ${room} of answer.`
  )
}
