// An error in OpenAI's words, as most dialects have it: as a JSON body before headers, as an event within a stream.

import type { CwmError } from '../base/errors.ts'
import type { ErrorShape, Overflow } from './dialect.ts'

/** The codes that clients see are lower case, as OpenAI's are. */
export function wireCode(error: CwmError): string {
  return error.code.toLowerCase()
}

/** OpenAI's shape. `promptField`: where the dialect has its prompt. */
export function openAiErrors(promptField: string): ErrorShape {
  return {
    body: openAiErrorBody,
    event: (error) => `data: ${openAiErrorBody(error)}\n\n`,
    contextExceeded,
    contextParam: promptField,
  }
}

/** The JSON text of an error answer on a path of no dialect, and of most. */
export function openAiErrorBody(error: CwmError): string {
  return JSON.stringify(openAiError(error))
}

function openAiError(error: CwmError) {
  return { error: { message: error.told, type: error.type, param: error.param ?? null, code: wireCode(error) } }
}

/** The JSON text of an error where the dialect is not known: clients of OpenAI's and of Anthropic's API both read it. */
export function errorBodyForAll(error: CwmError): string {
  return JSON.stringify({ type: 'error', ...openAiError(error) })
}

/** OpenAI's clients match the code, others the first words of this message (LiteLLM's and OpenCode's lists of overflow errors). */
function contextExceeded({ limit, promptTokens, room }: Overflow): string {
  return (
    `This model's maximum context length is ${limit} tokens. However, this request has ${promptTokens} tokens of prompt ` +
    `and wants room for ${room} of answer.`
  )
}
