// What a cut keeps, as indices and as tokens: by prefix sums, so that each question costs the same however long the history is.

import type { Unit, Units } from './units.ts'

/** Where what is kept begins, and how many of the first exchanges are kept before it. */
export interface Start {
  readonly unit: Unit
  readonly first: number
}

export class KeptSizes {
  readonly #fixed: number
  readonly #units: Pick<Units, 'turns'>
  readonly #isSystem: boolean[] = []
  /** Tokens before each message, and those of system messages among them. */
  readonly #all = [0]
  readonly #system = [0]

  constructor(fixed: number, units: Pick<Units, 'turns'>) {
    this.#fixed = fixed
    this.#units = units
  }

  add(size: number, isSystem: boolean): void {
    this.#all.push((this.#all.at(-1) ?? 0) + size)
    this.#system.push((this.#system.at(-1) ?? 0) + (isSystem ? size : 0))
    this.#isSystem.push(isSystem)
  }

  /** Tokens of all that goes out, if it began there now; undefined: at the very beginning. */
  of(start: Start | undefined): number {
    const whole = this.#all.at(-1) ?? 0
    if (start === undefined) return this.#fixed + whole
    const { unit } = start
    let tokens = this.#fixed + (this.#system[unit.start] ?? 0) + whole - (this.#all[unit.start] ?? 0)
    for (const [from, to] of this.#before(start)) tokens += this.#plain(to) - this.#plain(from)
    return tokens
  }

  indices(start: Start): readonly number[] {
    const length = this.#isSystem.length
    const systems = range(0, start.unit.start).filter((i) => this.#isSystem[i])
    const before = this.#before(start).flatMap(([from, to]) => range(from, to).filter((i) => !this.#isSystem[i]))
    return [...systems, ...before, ...range(start.unit.start, length)]
  }

  /** Spans before the start that are kept beside system messages: the first exchanges, and the task of a step. */
  #before({ unit, first }: Start): readonly (readonly [number, number])[] {
    const spans: [number, number][] = [[0, first === 0 ? 0 : (this.#units.turns[first]?.start ?? 0)]]
    if (unit.kind === 'step' && unit.turn !== undefined) spans.push([unit.turn.start, unit.turn.end])
    return spans
  }

  /** Tokens before message `at` that are not of system messages. */
  #plain(at: number): number {
    return (this.#all[at] ?? 0) - (this.#system[at] ?? 0)
  }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}
