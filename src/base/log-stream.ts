// Where log lines go: a file descriptor that is written beside the requests, many lines at once. A full disk or a reader that is gone costs lines and
// nothing else. (pino's own stream, sonic-boom, throws for the one, and for the other tries again for ever when the process ends.)

import { write, writeSync } from 'node:fs'

/** Written when there are so many characters of them, or after so many milliseconds: a write for each line cost more than the line. */
const WRITE_AT = 15 * 1024
const WRITE_AFTER_MS = 100
/** What waits is bounded, characters: while nobody takes lines, lines are lost and requests are not. */
const MAX_WAITING = 8 * 1024 * 1024
/** Given to the system at once, bytes: what it has of a batch when the process ends is its own. */
const MAX_WRITE = 64 * 1024
/** A reader that has no room is asked again so often; when the process ends, for so long in all. */
const TRY_AGAIN_MS = 100
const MAX_EXIT_MS = 1_000

interface Batch {
  /** As far as it is not written yet. */
  rest: Buffer
  /** How many it holds, or tells to be lost. */
  readonly lines: number
}

export class LogStream {
  readonly #fd: number
  readonly #render: (line: string) => string
  #lines: string[] = []
  /** Characters in `#lines`. */
  #waiting = 0
  /** What is being written. */
  #batch: Batch | undefined
  /** Bytes of the batch that the system is writing. */
  #inSystem = 0
  #isBroken = false
  #lost = 0
  #timer: NodeJS.Timeout | undefined

  /**
   * @param fd The descriptor of a file, a pipe or a terminal. Stays open.
   * @param render Turns a logger's JSON line into the text to write.
   */
  constructor(fd: number, render: (line: string) => string = (line) => line) {
    this.#fd = fd
    this.#render = render
    process.once('exit', () => this.#writeAtExit())
  }

  /** @param line A JSON object, with its line feed. */
  write(line: string): void {
    if (!this.#isBroken) this.print(this.#render(line))
  }

  /** Writes text that is not a log line, in order with the log lines. @param line With its line feed. */
  print(line: string): void {
    if (this.#isBroken) return
    if (this.#waiting + line.length > MAX_WAITING) {
      this.#lost++
      return
    }
    this.#lines.push(line)
    this.#waiting += line.length
    if (this.#waiting >= WRITE_AT) this.#next()
    else this.#later(WRITE_AFTER_MS)
  }

  #later(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      if (this.#batch === undefined) this.#next()
      else this.#send(this.#batch)
    }, ms).unref()
  }

  #next(): void {
    if (this.#batch !== undefined || this.#waiting === 0) return
    this.#batch = this.#takeAll()
    this.#send(this.#batch)
  }

  #takeAll(): Batch {
    const told = this.#lost > 0 ? this.#render(lostLine(this.#lost)) : ''
    const batch = { rest: Buffer.from(told + this.#lines.join('')), lines: this.#lost + this.#lines.length }
    this.#lost = 0
    this.#lines = []
    this.#waiting = 0
    return batch
  }

  #send(batch: Batch): void {
    if (this.#inSystem > 0) return
    this.#inSystem = Math.min(batch.rest.length, MAX_WRITE)
    write(this.#fd, batch.rest, 0, this.#inSystem, null, (error, written) => {
      this.#inSystem = 0
      if (error !== null) {
        this.#failed(error, batch)
        return
      }
      batch.rest = batch.rest.subarray(written)
      if (batch.rest.length > 0) {
        this.#send(batch)
        return
      }
      this.#batch = undefined
      if (this.#waiting >= WRITE_AT) this.#next()
      else if (this.#waiting > 0) this.#later(WRITE_AFTER_MS)
    })
  }

  #failed(error: NodeJS.ErrnoException, { lines }: Batch): void {
    if (hasNoRoom(error)) {
      this.#later(TRY_AGAIN_MS)
      return
    }
    this.#batch = undefined
    if (error.code === 'EPIPE') {
      this.#isBroken = true
      this.#lines = []
      this.#waiting = 0
      return
    }
    // A full disk may have room again.
    this.#lost += lines
    if (this.#waiting > 0) this.#later(TRY_AGAIN_MS)
  }

  #writeAtExit(): void {
    const texts = [this.#batch?.rest.subarray(this.#inSystem), this.#takeAll().rest]
    const end = Date.now() + MAX_EXIT_MS
    for (let text of texts) {
      while (text !== undefined && text.length > 0 && !this.#isBroken) {
        try {
          text = text.subarray(writeSync(this.#fd, text))
        } catch (thrown) {
          if (!hasNoRoom(thrown as NodeJS.ErrnoException) || Date.now() > end) return
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, TRY_AGAIN_MS / 10)
        }
      }
    }
  }
}

const hasNoRoom = ({ code }: NodeJS.ErrnoException): boolean => code === 'EAGAIN' || code === 'EBUSY'

/** In the form of pino's lines, at its level of a warning. */
function lostLine(lines: number): string {
  const msg = 'log lines are lost: standard error could not take them'
  return `${JSON.stringify({ level: 'warn', time: new Date().toISOString(), lines, msg })}\n`
}
