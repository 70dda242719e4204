// A real shell on a real terminal, in which a person seems to type, filmed as it is drawn.

import { spawn } from 'node:child_process'
import { setTimeout as after } from 'node:timers/promises'
import { Terminal } from './terminal.mjs'

const TYPED_MS = 60
const OUTPUT_MS = 90
/** Nothing more is written when it was quiet for this long. */
const QUIET_MS = 250
const ECHO_MS = 2_000
const DEADLINE_MS = 60_000

export class Shell {
  #film
  #child
  #changes = 0
  #filmed = 0

  /** @param {{ columns: number, rows: number, env: Record<string, string>, cwd: string, film: import('./film.mjs').TerminalFilm }} options */
  constructor({ columns, rows, env, cwd, film }) {
    this.#film = film
    this.terminal = new Terminal(columns, rows)
    // `script` makes the terminal.
    const command = `stty cols ${columns} rows ${rows}; exec bash --norc --noprofile -i`
    this.#child = spawn('script', ['-qfec', command, '/dev/null'], {
      cwd,
      env: { ...env, PS1: '\\[\\e[32m\\]$\\[\\e[0m\\] ' },
    })
    this.#child.stdout.setEncoding('utf8').on('data', (text) => {
      this.terminal.write(text)
      this.#changes++
    })
  }

  /** Types a line, two keys a frame, and presses Enter. */
  async type(line) {
    for (let at = 0; at < line.length; at += 2) {
      const before = this.#changes
      this.#child.stdin.write(line.slice(at, at + 2))
      const end = Date.now() + ECHO_MS
      while (this.#changes === before && Date.now() < end) await after(5)
      await this.#shoot(TYPED_MS)
    }
    this.#film.hold(300)
    this.#child.stdin.write('\r')
  }

  /** Presses keys at once. */
  press(keys) {
    this.#child.stdin.write(keys)
  }

  /** Films until the screen shows the text and is quiet, and then shows that for `ms`. */
  async shows(text, ms = 0) {
    const end = Date.now() + DEADLINE_MS
    let quietSince = Date.now()
    while (!text.test(this.terminal.text()) || Date.now() - quietSince < QUIET_MS) {
      if (Date.now() > end) throw new Error(`the terminal never showed ${text}:\n${this.terminal.text().trimEnd()}`)
      await after(20)
      if (this.#changes === this.#filmed) continue
      await this.#shoot(OUTPUT_MS)
      quietSince = Date.now()
    }
    this.#film.hold(ms)
  }

  async #shoot(ms) {
    this.#filmed = this.#changes
    await this.#film.shoot(this.terminal, ms)
  }

  close() {
    this.#child.kill()
  }
}
