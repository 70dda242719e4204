// What a cut keeps, as indices and as tokens. Prefix sums make each query independent of the history's length.

import type { Unit, Units } from './units.ts'

/** Where the kept part starts, and how many of the first exchanges are kept before it. */
export interface Start {
  readonly unit: Unit
  readonly first: number
}

export class KeptSizes {
  readonly #fixed: number
  readonly #units: Pick<Units, 'turns'>
  readonly #isSystem: boolean[] = []
  /** Tokens before each message, and those of the system messages among them. */
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

  /** Tokens of everything that is sent if the kept part starts there; undefined: at the very beginning. */
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

  /** Spans kept before the start besides system messages: the first exchanges, and the user turn that a step belongs to. */
  #before({ unit, first }: Start): readonly (readonly [number, number])[] {
    const spans: [number, number][] = [[0, first === 0 ? 0 : (this.#units.turns[first]?.start ?? 0)]]
    if (unit.kind === 'step' && unit.turn !== undefined) spans.push([unit.turn.start, unit.turn.end])
    return spans
  }

  /** Tokens before message `at`, without system messages. */
  #plain(at: number): number {
    return (this.#all[at] ?? 0) - (this.#system[at] ?? 0)
  }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}
