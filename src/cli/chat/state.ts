// The state of a chat: its session, model, messages, and how full its context is.

import { randomBytes } from 'node:crypto'
import type { SessionJson } from '../../wire/sessions.ts'
import { sessionPath } from '../client/paths.ts'
import { RefusedError, type Rest } from '../client/rest.ts'
import { type Message, sendTurn, type TurnAnswer } from './turn.ts'

export interface ChatOptions {
  readonly model: string
  readonly session?: string | undefined
  readonly window?: string | undefined
  readonly system?: string | undefined
}

/** A conversation through cwm. Like any chat client, it holds the messages since its session started, and sends all of them in each turn. */
export class Conversation {
  model: string
  session: string
  /** The session as last reported by cwm; undefined before the first turn. */
  status: SessionJson | undefined
  readonly #rest: Rest
  readonly #system: readonly Message[]
  #messages: Message[] = []
  /** The window that the next turn thaws. */
  #window: string | undefined

  constructor(rest: Rest, { model, session, window, system }: ChatOptions) {
    this.#rest = rest
    this.model = model
    this.session = session ?? newSession()
    this.#window = window
    // A window has its own system message, and a different one would conflict with it.
    this.#system = system === undefined || window !== undefined ? [] : [{ role: 'system', content: system }]
  }

  get turns(): number {
    return this.#messages.length / 2
  }

  /** Sends a message. A turn that fails or is stopped leaves the conversation unchanged, here as in cwm. */
  async send(content: string, signal: AbortSignal, onText: (piece: string) => void): Promise<TurnAnswer> {
    const messages: Message[] = [...this.#system, ...this.#messages, { role: 'user', content }]
    const { model, session } = this
    const answer = await sendTurn(this.#rest, { model, session, window: this.#window, messages, signal }, onText)
    this.#messages.push({ role: 'user', content }, { role: 'assistant', content: answer.text })
    this.#window = undefined
    return answer
  }

  /** Reads the session from cwm, where it does not exist before its first turn. */
  async refresh(signal: AbortSignal): Promise<SessionJson | undefined> {
    try {
      this.status = await this.#rest.json<SessionJson>(sessionPath(this.session), { signal })
    } catch (thrown) {
      if (!(thrown instanceof RefusedError) || thrown.status !== 404) throw thrown
      this.status = undefined
    }
    return this.status
  }

  /** Switches to another session. The messages so far are dropped; they may be in its window. */
  switchTo(session: string): void {
    this.session = session
    this.status = undefined
    this.#messages = []
    this.#window = undefined
  }
}

export function newSession(): string {
  return `chat-${randomBytes(6).toString('hex')}`
}
