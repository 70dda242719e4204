// Where a conversation may restart without separating a tool call from its results: at a user turn, or at a step of the model within a turn
// (an agent's task is one turn of hundreds of steps). Messages are read in order without looking ahead, so a longer history has the places of
// a shorter one, except those that a late result has closed.

import type { JsonValue } from '../base/json.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { ToolCalls } from './tool-calls.ts'

/** The role of one message in a conversation. */
export interface ClassifiedMessage {
  readonly by: 'system' | 'user' | 'model' | 'result'
  readonly calls: readonly string[]
  readonly answers: readonly string[]
}

/** A place to restart at. */
interface Place {
  readonly start: number
  /** No call before the place has a result at or after it, as far as the conversation was read. */
  sound: boolean
}

/** User messages, up to the model's next message or a result. System messages may be among them. */
export interface Turn extends Place {
  readonly kind: 'turn'
  end: number
  /** Number of turns before it. */
  readonly ordinal: number
}

/** A run of model messages, with the results that follow. */
export interface Step extends Place {
  readonly kind: 'step'
  /** The turn that it belongs to; undefined if the model spoke before any user. */
  readonly turn: Turn | undefined
}

export type Unit = Turn | Step

export function classifyMessage(
  message: JsonValue,
  rules: Pick<DialectRules, 'isFromModel' | 'isSystem' | 'toolCallIds' | 'toolResultIds'>,
): ClassifiedMessage {
  if (rules.isSystem(message)) return { by: 'system', calls: [], answers: [] }
  const calls = rules.toolCallIds(message)
  const answers = rules.toolResultIds(message)
  if (answers.length > 0) return { by: 'result', calls, answers }
  const fromModel = calls.length > 0 || rules.isFromModel(message)
  return { by: fromModel ? 'model' : 'user', calls, answers }
}

/** The units of a conversation, read in order. */
export class Units {
  readonly #turns: Turn[] = []
  readonly #soundTurns: Turn[] = []
  readonly #soundSteps: Step[] = []
  readonly #calls = new ToolCalls()
  #length = 0
  #previous: ClassifiedMessage['by'] | undefined
  /** As `#previous`, ignoring system messages. */
  #speaker: ClassifiedMessage['by'] | undefined

  /** All turns, sound or not. */
  get turns(): readonly Turn[] {
    return this.#turns
  }

  get soundTurns(): readonly Turn[] {
    return this.#soundTurns
  }

  get soundSteps(): readonly Step[] {
    return this.#soundSteps
  }

  /** Whether the model starts to speak with this message, so that a request ended before it. */
  beginsReply({ by }: ClassifiedMessage): boolean {
    return by === 'model' && this.#previous !== 'model' && this.#length > 0
  }

  add(said: ClassifiedMessage): void {
    const { by, calls, answers } = said
    const at = this.#length++
    for (const id of answers) this.#join(this.#calls.answer(id))
    if (by === 'user') this.#addToTurn(at)
    if (by === 'model' && this.#previous !== 'model') {
      this.#soundSteps.push({ kind: 'step', start: at, sound: true, turn: this.#turns.at(-1) })
    }
    for (const id of calls) this.#calls.open(at, id)
    this.#previous = by
    if (by !== 'system') this.#speaker = by
  }

  #addToTurn(at: number): void {
    const latest = this.#turns.at(-1)
    if (latest !== undefined && this.#speaker === 'user') {
      latest.end = at + 1
      return
    }
    const turn: Turn = { kind: 'turn', start: at, end: at + 1, sound: true, ordinal: this.#turns.length }
    this.#turns.push(turn)
    this.#soundTurns.push(turn)
    this.#calls.beginTurn()
  }

  /** A result was read whose call is in message `call`: no place between them is sound any longer. */
  #join(call: number | undefined): void {
    if (call === undefined) return
    closeBehind(this.#soundTurns, call)
    closeBehind(this.#soundSteps, call)
  }
}

function closeBehind(places: Place[], call: number): void {
  let last = places.at(-1)
  while (last !== undefined && last.start > call) {
    last.sound = false
    places.pop()
    last = places.at(-1)
  }
}
