// What tests put into the model's mouth.

export interface ScriptedCall {
  readonly name: string
  /** JSON text, or a value that is written as JSON. */
  readonly arguments: unknown
}

/** One reply. Parts that are absent are absent from the answer. */
export interface ScriptedReply {
  readonly content?: string
  readonly reasoning?: string
  /** Used by a request that offers tools only; until one comes, the reply waits. */
  readonly toolCalls?: readonly ScriptedCall[]
}

const MAX_REPLIES = 1000

export class Script {
  readonly #replies: ScriptedReply[] = []

  /** Queues a reply; throws once 1000 wait. */
  add(reply: ScriptedReply): void {
    if (this.#replies.length >= MAX_REPLIES) throw new Error(`${MAX_REPLIES} scripted replies wait already`)
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
