// Replies that tests prescribe to the model.

export interface ScriptedCall {
  readonly name: string
  /** JSON text, or a value to be written as JSON. */
  readonly arguments: unknown
}

/** One reply. The answer contains only the parts given here. */
export interface ScriptedReply {
  readonly content?: string
  readonly reasoning?: string
  /** Only used for a request that offers tools; the reply waits for one. */
  readonly toolCalls?: readonly ScriptedCall[]
}

const MAX_REPLIES = 1000

export class Script {
  readonly #replies: ScriptedReply[] = []

  /** Queues a reply; throws if 1000 are waiting. */
  add(reply: ScriptedReply): void {
    if (this.#replies.length >= MAX_REPLIES) throw new Error(`at most ${MAX_REPLIES} scripted replies may wait`)
    this.#replies.push(reply)
  }

  /** The next reply that suits a request with or without tools. */
  next(offersTools: boolean): ScriptedReply | undefined {
    const at = this.#replies.findIndex((reply) => offersTools || reply.toolCalls === undefined)
    return at < 0 ? undefined : this.#replies.splice(at, 1)[0]
  }

  clear(): void {
    this.#replies.length = 0
  }
}
