// Conversations of clients that name nothing: each sends its history again, to either proxy.

import { type Answer, ask, longText, type Message, openai, user } from '../../support/conversations.ts'
import type { Cwm } from '../../support/cwm.ts'
import { CHUNK } from '../../support/stack.ts'

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

let started = 0

/** Chats with words that no other chat has sent. */
export function startChats(count: number, proxies: readonly Cwm[]): Chat[] {
  const run = `${process.pid}-${Date.now()}`
  return Array.from({ length: count }, () => new Chat(`chat ${started++} of ${run}`, proxies))
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
