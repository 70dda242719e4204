// Handles a message of a chat app: asks the windows with the tag or, for a side request, the model alone.

import { type ManyAsker, mostFrequent } from '../ask/ask-many.ts'
import type { AskEvent, ManyQuestion } from '../ask/many-question.ts'
import type { SideAnswer, SideChat, SideOptions } from '../ask/side-chat.ts'
import { toCwmError } from '../base/errors.ts'
import type { Caller } from '../base/tenants.ts'
import { isSideRequest } from '../identity/side-requests.ts'
import type { Windows } from '../windows/windows.ts'
import { type ChatControls, inTermsOfChat } from './chat-controls.ts'
import type { ChatQuestion } from './chat-question.ts'
import { type ChatReply, replyOf } from './chat-reply.ts'
import { progressLine } from './progress.ts'

export interface ChatWorkParts {
  readonly manyAsker: Pick<ManyAsker, 'ask'>
  readonly sideChat: (chat: SideChat, options: SideOptions) => Promise<SideAnswer>
  readonly windows: Pick<Windows, 'list'>
  /** Served name of the model that writes replies, and answers side requests. Undefined: the model of most of the windows. */
  readonly reduceModel: string | undefined
  /** How the prompts of side requests begin. */
  readonly sideRequests: readonly string[]
}

export interface ChatRequest {
  readonly caller: Caller
  readonly tag: string
  /** The name that the app knows. */
  readonly model: string
  readonly question: ChatQuestion
  /** Side requests ask no windows, so these have no effect on them. */
  readonly controls: ChatControls
  /** Reserves memory for the answers of windows, bytes. Throws `OVERLOADED`. */
  readonly hold: (bytes: number) => void
}

export interface ChatListener {
  readonly onProgress: (line: string) => void
  readonly onText: (text: string) => void
}

/** Windows whose models are counted to find the most frequent one. */
const SAMPLE = 200

/** Resolves with the whole reply. Throws what windows, admission, store and engine throw, and `CLIENT_GONE` if the signal aborts. */
export function runChat(
  parts: ChatWorkParts,
  request: ChatRequest,
  signal: AbortSignal,
  listener: ChatListener,
): Promise<ChatReply> {
  const { question, conversation } = request.question
  // Open WebUI sends each of them as one user message, with the conversation in its text.
  const isFirst = conversation.every(({ role }) => role === 'system')
  const isSide = isFirst && isSideRequest(question, parts.sideRequests)
  return isSide ? chatAside(parts, request, signal, listener) : askWindows(parts, request, signal, listener)
}

async function askWindows(
  { manyAsker, reduceModel }: ChatWorkParts,
  { caller, tag, question, controls, hold }: ChatRequest,
  signal: AbortSignal,
  { onProgress, onText }: ChatListener,
): Promise<ChatReply> {
  const { tenant, sharer, policy, actor, apiKey } = caller
  const asked: ManyQuestion = {
    tenant,
    sharer,
    policy,
    question: question.question,
    instructions: undefined,
    windows: { tag },
    select: controls.select === undefined ? undefined : { text: controls.select },
    parallel: undefined,
    maxTokens: question.maxTokens,
    temperature: question.temperature,
    budgetTokens: controls.budgetTokens,
    reduce: 'synthesize',
    reduceModel,
    deadlineMs: controls.deadlineMs,
    conversation: question.conversation,
  }
  const onEvent = (event: AskEvent) => {
    const line = progressLine(event)
    if (line !== undefined) onProgress(line)
    if (event.type === 'text') onText(event.text)
  }
  try {
    return replyOf(await manyAsker.ask(asked, { apiKey, actor, signal, hold, onEvent }))
  } catch (thrown) {
    throw inTermsOfChat(toCwmError(thrown))
  }
}

async function chatAside(
  parts: ChatWorkParts,
  { caller, tag, question }: ChatRequest,
  signal: AbortSignal,
  { onText }: ChatListener,
): Promise<ChatReply> {
  const { tenant, sharer, policy, actor, apiKey } = caller
  const model = parts.reduceModel ?? (await modelOfMost(parts, tenant, tag))
  const turns = [...question.conversation, { role: 'user', text: question.question }]
  const chat: SideChat = {
    tenant,
    sharer,
    policy,
    model,
    messages: turns.map(({ role, text }) => ({ role, content: text })),
    maxTokens: question.maxTokens,
    temperature: question.temperature,
  }
  const { text, usage, finishReason } = await parts.sideChat(chat, { apiKey, actor, signal, onText })
  return { text, finishReason: finishReason === 'length' ? 'length' : 'stop', usage }
}

async function modelOfMost({ windows }: ChatWorkParts, tenant: string, tag: string): Promise<string> {
  const { items } = await windows.list(tenant, { limit: SAMPLE, tags: [tag], state: 'frozen' })
  return mostFrequent(items.map(({ model }) => model))
}
