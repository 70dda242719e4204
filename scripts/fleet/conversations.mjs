// The clients: conversations of a few tenants, most of which name nothing. A turn that fails is sent again, as it was, to the next cwm.

import { setTimeout as sleep } from 'node:timers/promises'
import { Draw } from '../random.mjs'
import { WORDS } from '../words.mjs'

const TENANTS = 12
/** Every so many conversations name their session, and every so many stream. */
const NAMED_EVERY = 4
const STREAM_EVERY = 3
/** More than an LMCache chunk: a conversation is worth loading. */
const FIRST_WORDS = 300
const NEXT_WORDS = 30
const TRIES = 12
const PAUSE_MS = 100

/** One conversation of one client. Sends its whole history with each turn, as apps do. */
class Conversation {
  #messages = []
  #draw

  constructor(n, seed) {
    this.id = n
    this.tenant = n % TENANTS
    this.named = n % NAMED_EVERY === 0
    this.streams = n % STREAM_EVERY === 0
    // The same words as a conversation of each other tenant: strangers that must not meet.
    this.#draw = new Draw(seed + Math.floor(n / TENANTS))
  }

  #words(count) {
    return Array.from({ length: count }, () => this.#draw.pick(WORDS)).join(' ')
  }

  /** Sends the next turn; `send(conversation, messages)` resolves with the answer. */
  async turn(send) {
    const text = this.#words(this.#messages.length === 0 ? FIRST_WORDS : NEXT_WORDS)
    const messages = [...this.#messages, { role: 'user', content: text }]
    const answer = await send(this, messages)
    this.#messages = [...messages, { role: 'assistant', content: answer.reply }]
  }
}

export class Conversations {
  /** What was sent, for the oracle. */
  attempts = []
  #all
  #client
  #proxies
  #model
  #turns = 0
  #nextId = 1

  constructor({ count, seed, client, proxies, model }) {
    this.#all = Array.from({ length: count }, (_, n) => new Conversation(n, seed))
    this.#client = client
    this.#proxies = proxies
    this.#model = model
  }

  get all() {
    return this.#all
  }

  /** Takes one turn of a conversation, at the next cwm in turn, or with `sticky` always at the same one. */
  async turn(conversation, sticky = false) {
    const start = sticky ? conversation.id : conversation.id + this.#turns++
    await conversation.turn(async (_, messages) => {
      let failure
      for (let tries = 0; tries < TRIES; tries++) {
        const proxy = this.#proxies[(start + tries) % this.#proxies.length]
        const answer = await this.#attempt(conversation, messages, proxy)
        if (answer.ok) return answer
        failure = answer.failure
        await sleep(PAUSE_MS * tries)
      }
      throw new Error(`conversation ${conversation.id}: no answer after ${TRIES} tries: ${failure}`)
    })
  }

  async #attempt({ id: conversation, tenant, named, streams }, messages, proxy) {
    const id = this.#nextId++
    const stream = streams ? { stream: true, stream_options: { include_usage: true } } : {}
    const at = Date.now()
    const answer = await this.#client.chat(proxy.port, {
      // The engines' log tells attempts apart by their seed, which changes nothing else.
      body: { model: this.#model, messages, seed: id, max_tokens: 24, ...stream },
      key: `key-of-tenant-${tenant}`,
      session: named ? `named-${conversation}` : undefined,
    })
    const { reply, ...told } = answer
    this.attempts.push({ id, conversation, tenant, named, cwm: proxy.name, at, end: Date.now(), ...told })
    return answer
  }
}
