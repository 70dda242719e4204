// The target of log lines: a file descriptor that is written in batches, independently of requests. If the disk is full or the reader is
// gone, only log lines are lost. (pino's own stream, sonic-boom, throws in the first case, and in the second retries forever when the
// process exits.)

import { write, writeSync } from 'node:fs'

/** A batch is written at this many characters, or after this many milliseconds. A write per line cost more than the line. */
const WRITE_AT = 15 * 1024
const WRITE_AFTER_MS = 100
/** Upper bound on buffered characters. Beyond it lines are lost, but no request fails. */
const MAX_WAITING = 8 * 1024 * 1024
/** Bytes per system call. Whatever the system has accepted when the process exits is written. */
const MAX_WRITE = 64 * 1024
/** How often a full pipe is retried; at exit, for how long in total. */
const TRY_AGAIN_MS = 100
const MAX_EXIT_MS = 1_000

interface Batch {
  /** The unwritten part. */
  rest: Buffer
  /** The number of lines in it, or of lost lines that it reports. */
  readonly lines: number
}

export class LogStream {
  readonly #fd: number
  readonly #render: (line: string) => string
  #lines: string[] = []
  /** Characters in `#lines`. */
  #waiting = 0
  /** The batch that is being written. */
  #batch: Batch | undefined
  /** Bytes of the batch in the current system call. */
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
    // A full disk may have space again.
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

/** In the format of pino's lines, at level warning. */
function lostLine(lines: number): string {
  const msg = 'log lines are lost: standard error could not take them'
  return `${JSON.stringify({ level: 'warn', time: new Date().toISOString(), lines, msg })}\n`
}
