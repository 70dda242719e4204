// Where a history that outgrows its limit is cut. The cut is a fold over the messages: it looks at each place where a request once ended, in
// order, and never ahead, so that the same history is cut alike on any proxy, and the cut stays where it is until the next time it does
// not fit. What is kept is bytes of the client's own; sizes come from the caller.

import { createHash } from 'node:crypto'
import type { JsonValue } from '../base/json.ts'
import { ArgumentsBudget, frame } from '../dialects/canonical-json.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { KeptSizes, type Start } from './kept-sizes.ts'
import { classifyMessage, type Unit, Units } from './units.ts'

export type FoldRules = Pick<DialectRules, 'canonical' | 'isFromModel' | 'isSystem' | 'toolCallIds' | 'toolResultIds'>

export interface FoldRequest {
  readonly messages: readonly JsonValue[]
  readonly rules: FoldRules
  /** Tokens of one message; must depend on nothing but the message and those before it. */
  readonly sizeOf: (message: JsonValue, index: number) => number
  /** Tokens of all that goes out beside the messages. */
  readonly fixed: number
  readonly limit: number
  /** Tokens kept free for an answer. */
  readonly reserve: number
  /** Share of the limit that a cut leaves at most, where whole turns or steps allow it. */
  readonly to: number
  /** How many of the first exchanges are kept; none where they leave no room. */
  readonly keepFirst: number
}

export type Fold =
  | { readonly kind: 'whole' }
  | {
      readonly kind: 'cut'
      /** Indices in the order in which they go out: system messages of the part cut away stand first. */
      readonly keep: readonly number[]
      readonly cut: readonly number[]
      /** Hex SHA-256 of the messages that are cut away. */
      readonly digest: string
    }
  | {
      /** Not even the least that must stay fits. */
      readonly kind: 'impossible'
      /** Tokens of that least, and of the room that there is for a prompt. */
      readonly tokens: number
      readonly room: number
    }

/**
 * What of a history goes out. Kept are all system messages, the first exchanges if wanted, and from some turn or step on everything; before
 * a step also what the user said last before it, which is its task. A call is never parted from its results.
 */
export function fold(request: FoldRequest): Fold {
  const { messages, rules, sizeOf } = request
  const folding = new Folding(request)
  for (const [i, message] of messages.entries()) folding.add(message, sizeOf(message, i), rules)
  return folding.end(messages, rules)
}

/** Hex SHA-256 of messages that are cut away. */
export function digestOf(messages: readonly JsonValue[], rules: Pick<FoldRules, 'canonical'>): string {
  const hash = createHash('sha256')
  const budget = new ArgumentsBudget()
  for (const message of messages) {
    const { text } = rules.canonical(message, budget)
    // What clients may leave out of an echo must not make another cut of it.
    if (text !== undefined) hash.update(frame('m', text))
  }
  return hash.digest('hex')
}

/** The name by which people and models see a cut. */
export function cutTag(digest: string): string {
  return `cut-${digest.slice(0, 12)}`
}

class Folding {
  readonly #units = new Units()
  readonly #sizes: KeptSizes
  readonly #room: number
  readonly #target: number
  #keepFirst: number
  /** Undefined while all is kept. */
  #start: Start | undefined

  constructor({ fixed, limit, reserve, to, keepFirst }: FoldRequest) {
    this.#sizes = new KeptSizes(fixed, this.#units)
    this.#room = limit - reserve
    this.#target = Math.min(to * limit, this.#room)
    this.#keepFirst = keepFirst
  }

  add(message: JsonValue, size: number, rules: FoldRules): void {
    const said = classifyMessage(message, rules)
    if (this.#units.beginsReply(said)) this.#decide()
    this.#units.add(said)
    this.#sizes.add(size, said.by === 'system')
  }

  end(messages: readonly JsonValue[], rules: FoldRules): Fold {
    this.#decide()
    const start = this.#start
    if (!this.#fits(start)) return { kind: 'impossible', tokens: this.#least(), room: this.#room }
    if (start === undefined) return { kind: 'whole' }
    const keep = this.#sizes.indices(start)
    const kept = new Set(keep)
    const cut = [...messages.keys()].filter((i) => !kept.has(i))
    const left = cut.map((i) => messages[i] ?? null)
    return { kind: 'cut', keep, cut, digest: digestOf(left, rules) }
  }

  /** A request ended here. One that could not be cut was refused, or went elsewhere: the history goes on all the same. */
  #decide(): void {
    if (this.#fits(this.#start)) return
    const next = this.#search(this.#keepFirst) ?? (this.#keepFirst > 0 ? this.#search(0) : undefined)
    if (next === undefined) return
    this.#start = next
    // What is cut away stays away.
    this.#keepFirst = next.first
  }

  /** Whole exchanges, down to the last that has an answer; then the newest steps of that one; then the newest turn; then what is least. */
  #search(keepFirst: number): Start | undefined {
    const { soundTurns, soundSteps } = this.#units
    const within = (unit: Unit) => {
      return unit.start > (this.#start?.unit.start ?? -1) && this.#sizes.of(startAt(unit, keepFirst)) <= this.#target
    }
    const whole = earliest(soundTurns, within)
    const step = soundSteps.at(-1)
    if (whole !== undefined && (step === undefined || whole.start < step.start)) return this.#sound(whole, keepFirst)
    const newest = earliest(soundSteps, (unit) => unit.turn === step?.turn && within(unit)) ?? whole
    if (newest !== undefined) return this.#sound(newest, keepFirst)
    const last = this.#last()
    if (last === undefined || last.start <= (this.#start?.unit.start ?? -1)) return undefined
    const least = this.#sound(last, keepFirst)
    return this.#fits(least) ? least : undefined
  }

  /** Undefined when a call in the first exchanges is answered behind them. */
  #sound(unit: Unit, keepFirst: number): Start | undefined {
    const start = startAt(unit, keepFirst)
    return this.#isSound(start) ? start : undefined
  }

  #isSound({ unit, first }: Start): boolean {
    return unit.sound && (first === 0 || this.#units.turns[first]?.sound === true)
  }

  #fits(start: Start | undefined): boolean {
    return (start === undefined || this.#isSound(start)) && this.#sizes.of(start) <= this.#room
  }

  #last(): Unit | undefined {
    const turn = this.#units.soundTurns.at(-1)
    const step = this.#units.soundSteps.at(-1)
    return turn !== undefined && (step === undefined || turn.start > step.start) ? turn : step
  }

  #least(): number {
    const last = this.#last()
    return this.#sizes.of(last === undefined ? undefined : startAt(last, 0))
  }
}

/** No more of the first exchanges can be kept than stand before the place. */
function startAt(unit: Unit, keepFirst: number): Start {
  const turn = unit.kind === 'turn' ? unit : unit.turn
  return { unit, first: Math.min(keepFirst, turn?.ordinal ?? 0) }
}

/** The first unit that is good; behind a good one all must be. */
function earliest<T extends Unit>(units: readonly T[], isGood: (unit: T) => boolean): T | undefined {
  let low = 0
  let high = units.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const unit = units[middle]
    if (unit !== undefined && isGood(unit)) high = middle
    else low = middle + 1
  }
  return units[low]
}
