// The cwm under attack, as a process: start, metrics, longest stall, log, stop.

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { Process } from '../bench/processes.mjs'

const START_MS = 30_000
const PROBE = new URL('probe.mjs', import.meta.url).href
const LEVEL_WARN = 40
const LEVEL_ERROR = 50
const LEVELS = { warn: LEVEL_WARN, error: LEVEL_ERROR, fatal: 60 }
const SHOWN = 5

export class AttackedCwm {
  #process
  #logFile

  /** `main`: the built `cli/main.js`. `flags`: flags of `cwm serve` by name. `core`: CPU core, undefined for any. */
  static async start({ main, flags, port, core, logFile, env }) {
    const cwm = new AttackedCwm()
    const args = Object.entries({ ...flags, port }).flatMap(([name, value]) => [`--${name}`, String(value)])
    cwm.url = `http://127.0.0.1:${port}`
    cwm.port = port
    cwm.#logFile = logFile
    cwm.#process = new Process({
      ...{ command: process.execPath, args: ['--import', PROBE, main, 'serve', ...args] },
      ...{ core, logFile, env, ipc: true },
    })
    await cwm.#process.answers(`${cwm.url}/cwm/livez`, START_MS)
    return cwm
  }

  /** The longest stall since the last call: `stallMs`, and the CPU time in it, `cpuMs`. */
  async longestStall() {
    return await this.#process.ask({ want: 'stall' })
  }

  /** The metrics in Prometheus' text format. */
  async metrics() {
    const answer = await fetch(`${this.url}/cwm/metrics`)
    return answer.text()
  }

  /** Resolves with a description when the process ends. */
  get ended() {
    return this.#process.ended
  }

  /** Stops the process. Resolves with a description of how it ended. */
  async stop() {
    return await this.#process.stop()
  }

  lastWords() {
    return this.#process.lastWords()
  }

  /** Evaluates its log: request lines by status, and all lines about internal failures. */
  async readLog() {
    return await readLog(createInterface({ input: createReadStream(this.#logFile) }))
  }
}

/** `lines`: lines of standard output and error, in any order. */
export async function readLog(lines) {
  const byStatus = new Map()
  const errors = []
  let errorCount = 0
  let warnings = 0
  const error = (line) => {
    errorCount++
    if (errors.length < SHOWN) errors.push(line.slice(0, 600))
  }
  for await (const line of lines) {
    const entry = jsonOf(line)
    if (entry === undefined) {
      if (/uncaught|unhandled|^\s+at |Error:/i.test(line)) error(line)
      continue
    }
    const level = LEVELS[entry.level] ?? Number(entry.level)
    if (level >= LEVEL_ERROR || entry.code === 'internal') error(line)
    else if (level >= LEVEL_WARN) warnings++
    if (entry.msg === 'request' && entry.route !== undefined)
      byStatus.set(String(entry.status), (byStatus.get(String(entry.status)) ?? 0) + 1)
  }
  return { byStatus, errors, errorCount, warnings }
}

function jsonOf(line) {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
