// The whole terminal for one program, and back to what it was on every exit: at the end, on signals, on faults, and when suspended.

import { writeSync } from 'node:fs'
import { constants } from 'node:os'
import type { ReadStream, WriteStream } from 'node:tty'

const ENTER = '\u001b[?1049h\u001b[?25l\u001b[H\u001b[2J'
const LEAVE = '\u001b[?25h\u001b[?1049l'
const CTRL_C = '\u0003'
const CTRL_Z = '\u001a'
/** A process that Ctrl-Z can stop is stopped within this time. */
const STOP_MS = 100

type TerminalOutput = WriteStream & { readonly fd: number }

export interface FullScreenEvents {
  /** A key, as the terminal sends it. Ctrl-C and Ctrl-Z are handled here. */
  readonly onKey: (key: string) => void
  /** The size has changed, or the program was resumed: draw again. */
  readonly onRedraw: () => void
  /** Ctrl-C. */
  readonly onInterrupt: () => void
}

/** Takes the terminal over from its construction until `close`. */
export class FullScreen {
  readonly #input: ReadStream
  readonly #output: TerminalOutput
  readonly #events: FullScreenEvents
  #isEntered = false
  /** Draws again if Ctrl-Z did not stop the process. */
  #resumeTimer: NodeJS.Timeout | undefined

  constructor(events: FullScreenEvents, input: ReadStream = process.stdin, output: TerminalOutput = process.stdout) {
    this.#input = input
    this.#output = output
    this.#events = events
    process.on('exit', this.#leave)
    // Before Node prints the fault, which would be lost with the alternate screen.
    process.on('uncaughtExceptionMonitor', this.#leave)
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, this.#onSignal)
    process.on('SIGCONT', this.#resume)
    output.on('resize', events.onRedraw)
    input.on('data', this.#onData)
    this.#enter()
  }

  /** Columns and rows. */
  get size(): { readonly columns: number; readonly rows: number } {
    return { columns: this.#output.columns || 80, rows: this.#output.rows || 24 }
  }

  /** Replaces what is shown. More lines than rows are left out. */
  draw(lines: readonly string[]): void {
    if (!this.#isEntered) return
    const shown = lines.slice(0, this.size.rows).map((line) => `${line}\u001b[K`)
    this.#output.write(`\u001b[H${shown.join('\r\n')}\u001b[J`)
  }

  close(): void {
    clearTimeout(this.#resumeTimer)
    this.#leave()
    process.off('exit', this.#leave)
    process.off('uncaughtExceptionMonitor', this.#leave)
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.off(signal, this.#onSignal)
    process.off('SIGCONT', this.#resume)
    this.#output.off('resize', this.#events.onRedraw)
    this.#input.off('data', this.#onData)
    this.#input.pause()
  }

  #enter(): void {
    this.#input.setRawMode(true)
    this.#input.resume()
    this.#output.write(ENTER)
    this.#isEntered = true
  }

  readonly #leave = (): void => {
    if (!this.#isEntered) return
    this.#isEntered = false
    try {
      this.#input.setRawMode(false)
      // Synchronous, because the process may end next.
      writeSync(this.#output.fd, LEAVE)
    } catch {
      // The terminal is gone.
    }
  }

  readonly #onSignal = (signal: 'SIGTERM' | 'SIGHUP'): void => {
    process.exit(128 + constants.signals[signal])
  }

  readonly #resume = (): void => {
    if (this.#isEntered) return
    this.#enter()
    this.#events.onRedraw()
  }

  readonly #onData = (bytes: Buffer): void => {
    for (const key of keysOf(bytes.toString())) {
      if (key === CTRL_C) this.#events.onInterrupt()
      else if (key === CTRL_Z) {
        this.#leave()
        process.kill(process.pid, 'SIGTSTP')
        // Without a shell that could resume it, as in `docker run -it`, the kernel ignores the signal.
        clearTimeout(this.#resumeTimer)
        this.#resumeTimer = setTimeout(this.#resume, STOP_MS).unref()
      } else this.#events.onKey(key)
    }
  }
}

/** Splits input into keys: an escape sequence is one key, as is each other character. */
export function keysOf(text: string): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: keys are sent as these
  return text.match(/\u001b\[[\d;]*[A-Za-z~]|\u001bO[A-Z]|./gsu) ?? []
}
