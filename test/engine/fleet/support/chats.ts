// Conversations of clients that name nothing: each sends its history again, to either proxy.

import { type Answer, ask, longText, type Message, MODEL, openai, user } from '../../support/conversations.ts'
import { type Cwm, KEY } from '../../support/cwm.ts'
import { CHUNK, eventually } from '../../support/stack.ts'

/** Two chunks and some more. */
const OPENING_TOKENS = 540
/** How many at once: two cores serve two engines. */
const AT_ONCE = 4

export class Chat {
  readonly mark: string
  readonly #proxies: readonly Cwm[]
  #history: readonly Message[]
  #turns = 0
  #answer: Answer | undefined

  constructor(mark: string, proxies: readonly Cwm[]) {
    this.mark = mark
    this.#proxies = proxies
    this.#history = [user(longText(mark, OPENING_TOKENS))]
  }

  /** The next turn, sent to another proxy than the one before. If it fails, the next one has the same history. */
  async next(body: Record<string, unknown> = {}): Promise<Answer> {
    const proxy = this.#proxies[this.#turns++ % this.#proxies.length]
    if (proxy === undefined) throw new Error('a chat needs a proxy')
    const messages = [...this.#history]
    if (this.#answer !== undefined) messages.push(this.#answer.reply, user(`question ${this.#turns} of ${this.mark}`))
    const answer = await ask(openai(proxy.url), messages, { body })
    this.#history = messages
    this.#answer = answer
    return answer
  }

  /** Tokens in whole chunks of the newest prompt: what LMCache has stored of it at least. */
  get storedTokens(): number {
    return Math.floor((this.#answer?.promptTokens ?? 0) / CHUNK) * CHUNK
  }
}

export interface ApiTurn {
  readonly session: string
  readonly reply: unknown
  readonly text: string
  readonly cachedTokens: number
}

/** One request to another API than chat completions, with the whole history. */
export type Ask = (proxy: Cwm, history: readonly object[]) => Promise<ApiTurn>

/** How often a conversation is begun again because the random model replied without text. */
const OPENINGS = 5

/**
 * A conversation of two turns in another API, each sent to another proxy. Returns the cached tokens of the second. It begins with a reply
 * that has text: without any, nobody can tell whose it is.
 */
export async function followUp(mark: string, proxies: readonly [Cwm, Cwm], ask: Ask): Promise<number> {
  for (let opened = 0; opened < OPENINGS; opened++) {
    const opening = [user(longText(`${mark}, ${opened}`, OPENING_TOKENS))]
    const { session, reply, text } = await ask(proxies[0], opening)
    if (text.trim() === '') continue
    // A turn is stored right after its last bytes. Before that, another proxy does not know the conversation (docs/architecture.md, known limits).
    await eventually(
      'the other proxy knows the session',
      () => proxies[1].session(session),
      ({ turns }) => turns > 0,
    )
    const history = [...opening, ...[reply].flat(), user(`more of ${mark}`)] as object[]
    return (await ask(proxies[1], history)).cachedTokens
  }
  throw new Error(`no reply with text in ${OPENINGS} conversations`)
}

interface AnthropicMessage {
  readonly content: readonly { readonly text?: string }[]
  readonly usage: { readonly cache_read_input_tokens?: number | null }
}

// At temperature 0 the random model says nothing that is text, and these APIs have no penalty against that.
export const askMessages: Ask = async (proxy, messages) => {
  const body = { model: MODEL, max_tokens: 16, temperature: 1, messages }
  const { answer, session } = await post<AnthropicMessage>(proxy, '/v1/messages', body)
  const { content, usage } = answer
  const text = content.map((part) => part.text ?? '').join('')
  return { session, reply: { role: 'assistant', content }, text, cachedTokens: usage.cache_read_input_tokens ?? 0 }
}

interface StoredResponse {
  readonly output: readonly { readonly content?: readonly { readonly text?: string }[] }[]
  readonly usage: { readonly input_tokens_details: { readonly cached_tokens: number } }
}

export const askResponses: Ask = async (proxy, input) => {
  const body = { model: MODEL, max_output_tokens: 16, temperature: 1, input }
  const { answer, session } = await post<StoredResponse>(proxy, '/v1/responses', body)
  const { output, usage } = answer
  const text = output.flatMap(({ content = [] }) => content.map((part) => part.text ?? '')).join('')
  return { session, reply: output, text, cachedTokens: usage.input_tokens_details.cached_tokens }
}

async function post<Body>(proxy: Cwm, path: string, body: object): Promise<{ answer: Body; session: string }> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${KEY}` }
  const answer = await fetch(proxy.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text.slice(0, 300)}`)
  return { answer: JSON.parse(text) as Body, session: answer.headers.get('x-cwm-session') ?? '' }
}

let started = 0

/** Words that no other conversation has sent. */
export const newMark = (): string => `chat ${started++} of ${process.pid}-${Date.now()}`

/** Chats with words of their own. */
export function startChats(count: number, proxies: readonly Cwm[]): Chat[] {
  return Array.from({ length: count }, () => new Chat(newMark(), proxies))
}

/** Runs `work` for all items, a few at once; results in the items' order. */
export async function forAll<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
  atOnce = AT_ONCE,
): Promise<Result[]> {
  const results: Result[] = []
  let taken = 0
  const worker = async () => {
    for (let at = taken++; at < items.length; at = taken++) results[at] = await work(items[at] as Item)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return results
}
