// Decides where a history that outgrows its limit is cut. The cut is a fold over the messages: it considers each place where a request
// ended, in order and without looking ahead. So the same history is cut the same way on every proxy, and the cut stays in place until the
// rest no longer fits. Kept messages stay byte-identical; sizes come from the caller.

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
  /** Tokens of one message; must depend only on the message and those before it. */
  readonly sizeOf: (message: JsonValue, index: number) => number
  /** Tokens of everything sent beside the messages. */
  readonly fixed: number
  readonly limit: number
  /** Tokens reserved for the answer. */
  readonly reserve: number
  /** The largest share of the limit that a cut leaves, if complete turns or steps allow it. */
  readonly to: number
  /** How many of the first exchanges are kept; none if they leave no room. */
  readonly keepFirst: number
}

export type Fold =
  | { readonly kind: 'whole' }
  | {
      readonly kind: 'cut'
      /** Indices in sending order: system messages of the cut part come first. */
      readonly keep: readonly number[]
      readonly cut: readonly number[]
      /** Hex SHA-256 of the cut messages. */
      readonly digest: string
    }
  | {
      /** Even the minimum that must be kept does not fit. */
      readonly kind: 'impossible'
      /** Tokens of that minimum, and of the room for a prompt. */
      readonly tokens: number
      readonly room: number
    }

/**
 * Decides what is sent of a history. It keeps all system messages, the first exchanges if requested, and everything from some turn or step on.
 * A kept step also keeps the last user message before it, which is its task. Calls always stay with their results.
 */
export function fold(request: FoldRequest): Fold {
  const { messages, rules, sizeOf } = request
  const folding = new Folding(request)
  for (const [i, message] of messages.entries()) folding.add(message, sizeOf(message, i), rules)
  return folding.end(messages, rules)
}

/** Hex SHA-256 of cut messages. */
export function digestOf(messages: readonly JsonValue[], rules: Pick<FoldRules, 'canonical'>): string {
  const hash = createHash('sha256')
  const budget = new ArgumentsBudget()
  for (const message of messages) {
    const { text } = rules.canonical(message, budget)
    // Content that clients may omit from an echo must not change the digest.
    if (text !== undefined) hash.update(frame('m', text))
  }
  return hash.digest('hex')
}

/** The tag that people and models see for a cut. */
export function cutTag(digest: string): string {
  return `cut-${digest.slice(0, 12)}`
}

class Folding {
  readonly #units = new Units()
  readonly #sizes: KeptSizes
  readonly #room: number
  readonly #target: number
  #keepFirst: number
  /** Undefined while everything is kept. */
  #start: Start | undefined

  constructor({ fixed, limit, reserve, to, keepFirst }: FoldRequest) {
    this.#sizes = new KeptSizes(fixed, this.#units)
    this.#room = limit - reserve
    this.#target = Math.min(to * limit, this.#room)
    this.#keepFirst = keepFirst
  }

  add(message: JsonValue, size: number, rules: FoldRules): void {
    const classified = classifyMessage(message, rules)
    if (this.#units.beginsReply(classified)) this.#decide()
    this.#units.add(classified)
    this.#sizes.add(size, classified.by === 'system')
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

  /** A request ended here. If it could not be cut, it was rejected or sent elsewhere; the history continues either way. */
  #decide(): void {
    if (this.#fits(this.#start)) return
    const next = this.#search(this.#keepFirst) ?? (this.#keepFirst > 0 ? this.#search(0) : undefined)
    if (next === undefined) return
    this.#start = next
    // Cut messages stay cut.
    this.#keepFirst = next.first
  }

  /** Tries complete exchanges down to the last answered one, then that one's newest steps, then the newest turn, then the minimum. */
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

  /** Undefined if a call in the first exchanges is answered after them. */
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

/** At most as many of the first exchanges can be kept as precede the place. */
function startAt(unit: Unit, keepFirst: number): Start {
  const turn = unit.kind === 'turn' ? unit : unit.turn
  return { unit, first: Math.min(keepFirst, turn?.ordinal ?? 0) }
}

/** The first matching unit. All units after a matching one must match. */
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
