// The branch of a window on which a question is answered: the window's messages and one user message. It belongs to no session, and nothing
// of it is kept.

import { CwmError } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'
import type { Prompt } from '../base/records.ts'
import type { DialectRules, QuestionBounds, QuestionRules } from '../dialects/dialect.ts'
import { messageRulesOf } from '../dialects/index.ts'
import type { BaseWindow } from '../windows/base-windows.ts'

export interface Question {
  readonly question: string
  /** How to answer; comes before the question. */
  readonly instructions: string | undefined
}

export interface Branch {
  readonly rules: DialectRules
  readonly questions: QuestionRules
  readonly prompt: Prompt
}

/**
 * The question as the next user message of a window. It begins with a random nonce, so that nobody can learn from `cached_tokens` that the
 * window was asked the same before. Throws `ASK_NEEDS_TOOL_RESULT` if the window ends in a tool call.
 */
export function branchOf({ record, prompt }: BaseWindow, { question, instructions }: Question): Branch {
  const rules = messageRulesOf(record.dialect)
  const { questions } = rules
  if (questions === undefined) throw new TypeError(`windows of the dialect ${record.dialect} cannot be asked`)
  if (endsInToolCall(prompt.messages, rules)) {
    throw new CwmError(
      'ASK_NEEDS_TOOL_RESULT',
      `window ${record.name} ends in a tool call, and only its result may follow; thaw the window and send the result, or ask a clone of its earlier messages (\`at\`)`,
      { param: 'name' },
    )
  }
  const text = [`[${randomId()}]`, instructions, question].filter((part) => part !== undefined).join('\n\n')
  return { rules, questions, prompt: { ...prompt, messages: [...prompt.messages, rules.textMessage('user', text)] } }
}

/** The body of the branch's request. */
export function bodyOf({ rules, questions, prompt }: Branch, bounds: QuestionBounds, salt: string): Buffer {
  const { messagesField = 'messages' } = rules
  const body: JsonObject = {
    model: prompt.model,
    ...prompt.shaping,
    [messagesField]: prompt.messages,
    ...questions.fields(bounds),
    cache_salt: salt,
  }
  return Buffer.from(JSON.stringify(body))
}

/** Whether the model could call a tool. */
export function offersTools({ rules, prompt }: Branch): boolean {
  return rules.vocabulary.toolFields.some((field) => {
    const tools = prompt.shaping[field]
    return Array.isArray(tools) && tools.length > 0
  })
}

/** Whether a call at the end has no result yet. */
function endsInToolCall(messages: readonly JsonValue[], rules: DialectRules): boolean {
  const answered = new Set<string>()
  for (const message of messages.toReversed()) {
    const results = rules.toolResultIds(message)
    for (const id of results) answered.add(id)
    const calls = rules.toolCallIds(message)
    if (calls.some((id) => !answered.has(id))) return true
    if (calls.length === 0 && results.length === 0) return false
  }
  return false
}
