// Matches tool results to their calls: by id, or by the order of the calls if ids are missing or reused.

interface Call {
  readonly at: number
  answered: boolean
}

interface CallsOfId {
  /** Calls that were unanswered when added, oldest first. */
  readonly open: Call[]
  latest: Call
}

/** The tool calls of a conversation, read in order. */
export class ToolCalls {
  readonly #byId = new Map<string, CallsOfId>()
  #sinceTurn: Call[] = []
  /** All calls before this index are answered. */
  #next = 0
  #latest: Call | undefined

  /** A user message begins a turn. Later results without an id do not belong to earlier calls. */
  beginTurn(): void {
    this.#sinceTurn = []
    this.#next = 0
  }

  /** A call in message `at`; `id` is '' if it has none. */
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

  /** The index of the message whose call this result answers; undefined if there is no call at all. */
  answer(id: string): number | undefined {
    const call = this.#named(id) ?? this.#oldestOpen() ?? this.#latest
    if (call !== undefined) call.answered = true
    return call?.at
  }

  /** Among calls with the same id, the newest unanswered one. A further result belongs to the latest. */
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
