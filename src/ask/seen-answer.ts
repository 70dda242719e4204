// What is kept of a streamed answer: its events, with consecutive text deltas merged, so that an answer takes the memory of its text.
// Events arrive parsed here, because their text is passed on. The proxy keeps bytes instead (`SeenEvents`) and parses none of the deltas, so one
// class for both would cost the proxy a parse per token.

import { isObject, type JsonObject } from '../base/json.ts'
import type { DialectRules, Observation } from '../dialects/dialect.ts'

/** Consecutive events that differ only in their text. */
interface Run {
  readonly event: JsonObject
  /** The event without its text. */
  readonly form: string
  readonly texts: string[]
}

export class SeenAnswer {
  readonly #rules: DialectRules
  readonly #events: (JsonObject | Run)[] = []
  #run: Run | undefined
  /** How many pieces of text arrived, about one per token. */
  deltas = 0
  /** The last counts of the engine, in the dialect's own form. */
  #usage: JsonObject | undefined

  constructor(rules: DialectRules) {
    this.#rules = rules
  }

  add(event: JsonObject): void {
    this.#usage = usageIn(event) ?? this.#usage
    const { deltas } = this.#rules
    const text = deltas?.textOf(event)
    if (deltas === undefined || text === undefined) {
      this.#run = undefined
      this.#events.push(event)
      return
    }
    this.deltas++
    const form = JSON.stringify(deltas.withText(event, ''))
    if (this.#run?.form === form) {
      this.#run.texts.push(text)
      return
    }
    this.#run = { event, form, texts: [text] }
    this.#events.push(this.#run)
  }

  observe(): Observation {
    return this.#rules.observeEvents(this.#events.map((kept) => (isRun(kept) ? this.#merged(kept) : kept)))
  }

  /** Tokens of the answer that were reasoning; null if the engine does not report them. */
  get reasoningTokens(): number | null {
    const details = this.#usage?.completion_tokens_details ?? this.#usage?.output_tokens_details
    const tokens = isObject(details) ? details.reasoning_tokens : undefined
    return typeof tokens === 'number' ? tokens : null
  }

  #merged({ event, texts }: Run): JsonObject {
    return this.#rules.deltas?.withText(event, texts.join('')) ?? event
  }
}

function isRun(kept: JsonObject | Run): kept is Run {
  return 'texts' in kept && 'form' in kept
}

/** Anthropic's and OpenAI's events have it at the top; the last event of a response has it within. */
function usageIn({ usage, response }: JsonObject): JsonObject | undefined {
  if (isObject(usage)) return usage
  return isObject(response) && isObject(response.usage) ? response.usage : undefined
}
