// Reads the request of a chat app that asks windows: its last message is the question, everything before it is the conversation.

import { CwmError } from '../base/errors.ts'
import { isObject, isPresent, type JsonObject, type JsonValue } from '../base/json.ts'
import { countOf, isTruthy, readMessageList, textOf } from '../dialects/fields.ts'

export interface Said {
  readonly role: 'system' | 'user' | 'assistant'
  readonly text: string
}

export interface ChatQuestion {
  readonly question: string
  /** System text and earlier turns, oldest first. */
  readonly conversation: readonly Said[]
  readonly maxTokens: number | undefined
  readonly temperature: number | undefined
  readonly stream: boolean
  /** Whether a stream ends with an event that has the usage. */
  readonly includeUsage: boolean
}

/** Fields that change what an answer consists of, with the values that change nothing. All other fields are ignored. */
const unsupported: Readonly<Record<string, (value: JsonValue) => boolean>> = {
  n: (value) => value === 1,
  tools: isEmptyList,
  functions: isEmptyList,
  response_format: (value) => isObject(value) && value.type === 'text',
  logprobs: (value) => !isTruthy(value),
  stop: isEmptyList,
  audio: () => false,
}

const roles: Readonly<Record<string, Said['role']>> = {
  system: 'system',
  developer: 'system',
  user: 'user',
  assistant: 'assistant',
}

/**
 * Throws `NOT_SUPPORTED` for a field that questions to windows cannot honor, and for a question that is more than text; `INVALID_FIELD` for
 * a malformed one, and if the last message is not a user's.
 */
export function readChatQuestion(body: JsonObject): ChatQuestion {
  for (const [field, changesNothing] of Object.entries(unsupported)) {
    const value = body[field]
    if (isPresent(value) && !changesNothing(value)) throw notSupported(field)
  }
  const messages = readMessageList(body)
  const { stream_options: options } = body
  return {
    question: questionIn(messages.at(-1)),
    conversation: messages.slice(0, -1).flatMap(saidIn),
    maxTokens: countIn(body, 'max_completion_tokens') ?? countIn(body, 'max_tokens'),
    temperature: temperatureIn(body),
    stream: isTruthy(body.stream),
    includeUsage: isObject(options) && isTruthy(options.include_usage),
  }
}

function questionIn(message: JsonValue | undefined): string {
  if (!isObject(message) || message.role !== 'user') {
    throw new CwmError('INVALID_FIELD', 'the last of `messages` must be a message of the user: it is the question', {
      param: 'messages',
    })
  }
  const parts = partsOf(message)
  const other = parts.find(({ type }) => type !== 'text')
  if (other !== undefined) {
    throw new CwmError(
      'NOT_SUPPORTED',
      `the question must be text, and the last of \`messages\` has a part of type ${other.type}; leave it out`,
      { param: 'messages' },
    )
  }
  const text = textOfParts(parts)
  if (text.trim() !== '') return text
  throw new CwmError('INVALID_FIELD', 'the last of `messages` is empty: it must be the question', { param: 'messages' })
}

/** Nothing for tool results and calls, which only make sense to a model that has the tools. Images are named, not sent. */
function saidIn(message: JsonValue): readonly Said[] {
  if (!isObject(message)) return []
  const role = typeof message.role === 'string' && Object.hasOwn(roles, message.role) ? roles[message.role] : undefined
  const text = textOfParts(partsOf(message))
  return role === undefined || text === '' ? [] : [{ role, text }]
}

interface Part {
  readonly type: string
  readonly text: string
}

function partsOf({ content }: JsonObject): readonly Part[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  if (!Array.isArray(content)) return []
  return (content as readonly JsonValue[]).filter(isObject).map(({ type, text }) => {
    const name = textOf(type) ?? 'text'
    return { type: name, text: textOf(text) ?? (name === 'text' ? '' : `[${name}]`) }
  })
}

function textOfParts(parts: readonly Part[]): string {
  return parts.map(({ text }) => text).join('\n')
}

function countIn(body: JsonObject, field: string): number | undefined {
  const value = body[field]
  if (!isPresent(value)) return undefined
  const count = countOf(value)
  if (count !== undefined && count > 0) return count
  throw new CwmError('INVALID_FIELD', `\`${field}\` must be a whole number, 1 or more`, { param: field })
}

function temperatureIn({ temperature }: JsonObject): number | undefined {
  if (!isPresent(temperature)) return undefined
  if (typeof temperature === 'number' && temperature >= 0 && temperature <= 2) return temperature
  throw new CwmError('INVALID_FIELD', '`temperature` must be a number from 0 to 2', { param: 'temperature' })
}

function isEmptyList(value: JsonValue): boolean {
  return Array.isArray(value) && value.length === 0
}

function notSupported(field: string): CwmError {
  return new CwmError('NOT_SUPPORTED', `\`${field}\` has no effect on questions to windows; leave it out`, {
    param: field,
  })
}
