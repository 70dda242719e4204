// One line at the end of a terminal that says what is going on, below lines that stay.

import { stripControlCharacters, truncate } from './text.ts'

export interface StatusOutput {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

const CLEAR = '\r\u001b[K'

export class StatusLine {
  readonly #output: StatusOutput
  #isShown = false

  constructor(output: StatusOutput = process.stderr) {
    this.#output = output
  }

  /** Replaces the line. Shows nothing unless on a terminal. */
  show(text: string): void {
    if (this.#output.isTTY !== true) return
    this.#output.write(CLEAR + truncate(stripControlCharacters(text), (this.#output.columns ?? 80) - 1))
    this.#isShown = true
  }

  /** Call this before anything else is printed. */
  clear(): void {
    if (!this.#isShown) return
    this.#output.write(CLEAR)
    this.#isShown = false
  }
}
