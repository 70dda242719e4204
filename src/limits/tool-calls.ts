// Which tool call a result belongs to: by its id; where ids are missing or used more than once, by the order in which calls were opened.

interface Call {
  readonly at: number
  answered: boolean
}

interface CallsOfId {
  /** Not answered when they were put here, oldest first. */
  readonly open: Call[]
  latest: Call
}

/** The calls of a conversation, read in order. */
export class ToolCalls {
  readonly #byId = new Map<string, CallsOfId>()
  #sinceTurn: Call[] = []
  /** Before it all are answered. */
  #next = 0
  #latest: Call | undefined

  /** A user spoke: a result that does not say its call is not one of a call before. */
  beginTurn(): void {
    this.#sinceTurn = []
    this.#next = 0
  }

  /** A call in message `at`; `id` is '' when it has none. */
  open(at: number, id: string): void {
    const call = { at, answered: false }
    this.#latest = call
    this.#sinceTurn.push(call)
    if (id === '') return
    const named = this.#byId.get(id)
    if (named === undefined) this.#byId.set(id, { open: [call], latest: call })
    else {
      named.open.push(call)
      named.latest = call
    }
  }

  /** The message whose call this result answers; undefined when there is no call at all. */
  answer(id: string): number | undefined {
    const call = this.#named(id) ?? this.#oldestOpen() ?? this.#latest
    if (call !== undefined) call.answered = true
    return call?.at
  }

  /** Of several with one id the newest that waits; a second result goes with the first. */
  #named(id: string): Call | undefined {
    const named = this.#byId.get(id)
    if (named === undefined) return undefined
    let call = named.open.pop()
    while (call?.answered === true) call = named.open.pop()
    return call ?? named.latest
  }

  #oldestOpen(): Call | undefined {
    while (this.#sinceTurn[this.#next]?.answered === true) this.#next++
    return this.#sinceTurn[this.#next]
  }
}
