// The refusal of a turn that does not fit, in the words by which SDKs and agents know it.

import { CwmError } from '../base/errors.ts'
import type { Dialect } from '../base/records.ts'

export interface Overflowing {
  readonly dialect: Dialect
  readonly limit: number
  /** Exact, as the engine counts. */
  readonly promptTokens: number
  /** Room that the answer wants beside. */
  readonly room: number
  /** The newest window of the session, if there is one. */
  readonly window: string | undefined
  /** Why it is refused though the policy is to cut. */
  readonly because?: string
}

/**
 * `CONTEXT_LENGTH_EXCEEDED`. OpenAI's clients match the code, others the first words of OpenAI's message; Anthropic's match the words of
 * its API, and some read the numbers there to ask for fewer tokens (Claude Code; LiteLLM's and OpenCode's lists of overflow errors).
 */
export function contextExceeded(overflow: Overflowing): CwmError {
  const { dialect, window, because } = overflow
  const words = [
    dialect === 'messages' ? inAnthropicsWords(overflow) : inOpenAisWords(overflow),
    ...(because === undefined ? [] : [because]),
    ...(window === undefined ? [] : [`Its newest window is ${window}.`]),
  ]
  const message = words.join(' ')
  // Anthropic's shape would put the field's name before the words, and these must come first.
  if (dialect === 'messages') return new CwmError('CONTEXT_LENGTH_EXCEEDED', message)
  const param = dialect === 'completions' ? 'prompt' : dialect === 'responses' ? 'input' : 'messages'
  return new CwmError('CONTEXT_LENGTH_EXCEEDED', message, { param })
}

function inOpenAisWords({ limit, promptTokens, room }: Overflowing): string {
  return (
    `This model's maximum context length is ${limit} tokens. However, this request has ${promptTokens} tokens of prompt ` +
    `and wants room for ${room} of answer.`
  )
}

function inAnthropicsWords({ limit, promptTokens, room }: Overflowing): string {
  if (promptTokens > limit) return `prompt is too long: ${promptTokens} tokens > ${limit} maximum.`
  return `input length and \`max_tokens\` exceed context limit: ${promptTokens} + ${room} > ${limit}, decrease input length or \`max_tokens\` and try again.`
}
