// Reads lines from a person or a pipe, and handles Ctrl-C meanwhile.

import { createInterface, type Interface } from 'node:readline'

/** A line, a Ctrl-C, or the end of the input. */
export type Input = { readonly line: string } | 'interrupted' | 'ended'

export interface LinesOptions {
  readonly complete: (line: string) => Promise<[string[], string]>
  /** Called on Ctrl-C while `next` is not waiting for a line. */
  readonly onInterrupt: () => void
}

/** Reads standard input line by line. From a pipe it takes only what is requested, plus what readline buffers (64 KB). */
export class Lines {
  readonly isTerminal = process.stdin.isTTY === true
  readonly #interface: Interface
  readonly #waiting: string[] = []
  #ended = false
  #resolve: ((input: Input) => void) | undefined

  constructor({ complete, onInterrupt }: LinesOptions) {
    this.#interface = createInterface({
      input: process.stdin,
      output: this.isTerminal ? process.stdout : undefined,
      terminal: this.isTerminal,
      historySize: 200,
      completer: (line: string, done: (error: null, result: [string[], string]) => void) => {
        complete(line).then(
          (result) => done(null, result),
          () => done(null, [[], line]),
        )
      },
    })
    this.#interface.on('line', (line) => {
      if (!this.#settle({ line })) {
        this.#waiting.push(line)
        this.#interface.pause()
      }
    })
    this.#interface.on('close', () => {
      this.#ended = true
      this.#settle('ended')
    })
    // In readline's raw mode a terminal sends no signals, so Ctrl-C arrives as an event of readline.
    const interrupt = () => {
      if (!this.#settle('interrupted')) onInterrupt()
    }
    this.#interface.on('SIGINT', interrupt)
    if (!this.isTerminal) process.on('SIGINT', interrupt)
  }

  /** What the user has typed on the current line. */
  get typed(): string {
    return this.#interface.line
  }

  next(prompt: string): Promise<Input> {
    const line = this.#waiting.shift()
    if (line !== undefined) return Promise.resolve({ line })
    if (this.#ended) return Promise.resolve('ended')
    return new Promise((resolve) => {
      this.#resolve = resolve
      if (this.isTerminal) {
        this.#interface.setPrompt(prompt)
        this.#interface.prompt()
      } else this.#interface.resume()
    })
  }

  /** Clears the current line. */
  clear(): void {
    this.#interface.write(null, { ctrl: true, name: 'e' })
    this.#interface.write(null, { ctrl: true, name: 'u' })
  }

  close(): void {
    this.#interface.close()
  }

  #settle(input: Input): boolean {
    const resolve = this.#resolve
    this.#resolve = undefined
    resolve?.(input)
    return resolve !== undefined
  }
}
