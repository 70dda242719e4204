// A transaction under construction: the conditions, and what to write if they hold. Redis runs it completely or not at all (commitScript).
// All its keys belong to one tenant, and therefore to one slot.

import type { Word } from './redis-link.ts'

export class Transaction {
  readonly #guards: { readonly key: string; readonly words: readonly [string, Word, Word] }[] = []
  readonly #commands: { readonly key: string; readonly words: readonly Word[] }[] = []

  /** `known`: the key that marks the tenant as listed; undefined if it need not be. */
  constructor(known: string | undefined) {
    if (known !== undefined) this.#guards.push({ key: known, words: ['known', '', ''] })
  }

  /** The value of `key` must still be the one that was read; null: it must not exist. */
  expect(key: string, value: Buffer | null | undefined): void {
    this.#guards.push({ key, words: value ? ['is', value, ''] : ['absent', '', ''] })
  }

  expectAbsent(key: string): void {
    this.expect(key, null)
  }

  /** The set must have that many members. */
  expectSize(key: string, size: number): void {
    this.#guards.push({ key, words: ['size', size, ''] })
  }

  /** The number in a field of a hash must not exceed `most`. */
  expectAtMost(key: string, field: string, most: number): void {
    this.#guards.push({ key, words: ['most', field, most] })
  }

  write(command: string, key: string, ...words: readonly Word[]): void {
    this.#commands.push({ key, words: [command, ...words] })
  }

  get writes(): boolean {
    return this.#commands.length > 0
  }

  get keys(): readonly string[] {
    return [...this.#guards, ...this.#commands].map(({ key }) => key)
  }

  get args(): readonly Word[] {
    return [
      this.#guards.length,
      ...this.#guards.flatMap(({ words }) => words),
      ...this.#commands.flatMap(({ words }) => [words.length, ...words]),
    ]
  }
}
