// What a chat is about: which session and model, what was said in it, how full its context is.

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

/** A conversation through cwm. Holds what the client of a chat holds: the messages since its session began, which each turn sends again. */
export class Conversation {
  model: string
  session: string
  /** The last that cwm told of the session; undefined before the first turn. */
  status: SessionJson | undefined
  readonly #rest: Rest
  readonly #system: readonly Message[]
  #messages: Message[] = []
  /** To be thawed by the next turn. */
  #window: string | undefined

  constructor(rest: Rest, { model, session, window, system }: ChatOptions) {
    this.#rest = rest
    this.model = model
    this.session = session ?? newSession()
    this.#window = window
    // A window has a system message of its own, and another one would contradict it.
    this.#system = system === undefined || window !== undefined ? [] : [{ role: 'system', content: system }]
  }

  get turns(): number {
    return this.#messages.length / 2
  }

  /** Sends what the user says. A turn that fails or is stopped is taken back whole, as cwm takes it back. */
  async send(content: string, signal: AbortSignal, onText: (piece: string) => void): Promise<TurnAnswer> {
    const messages: Message[] = [...this.#system, ...this.#messages, { role: 'user', content }]
    const { model, session } = this
    const answer = await sendTurn(this.#rest, { model, session, window: this.#window, messages, signal }, onText)
    this.#messages.push({ role: 'user', content }, { role: 'assistant', content: answer.text })
    this.#window = undefined
    return answer
  }

  /** Asks how the session stands after the last turn. It is absent until its first one. */
  async refresh(signal: AbortSignal): Promise<SessionJson | undefined> {
    try {
      this.status = await this.#rest.json<SessionJson>(sessionPath(this.session), { signal })
    } catch (thrown) {
      if (!(thrown instanceof RefusedError) || thrown.status !== 404) throw thrown
      this.status = undefined
    }
    return this.status
  }

  /** Goes on in another session; what was said before is behind its window, or forgotten. */
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
