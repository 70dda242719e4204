// Slows cwm's flushes to the disk, for `--flush-ms`: compiles flush-delay.c, and preloads it into each cwm.

import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { here } from './processes.mjs'

export class FlushDelay {
  /** What each flush takes longer. */
  ms
  #folder
  #library

  constructor(ms, folder, library) {
    this.ms = ms
    this.#folder = folder
    this.#library = library
  }

  /** The environment of a process whose flushes are to be slowed. `name`: of its counter. */
  envFor(name) {
    return {
      LD_PRELOAD: [this.#library, process.env.LD_PRELOAD].filter(Boolean).join(':'),
      BENCH_FLUSH_MS: String(this.ms),
      BENCH_FLUSH_COUNT: this.#counter(name),
    }
  }

  /** How many flushes were slowed so far. */
  countOf(name) {
    const counter = this.#counter(name)
    return existsSync(counter) ? statSync(counter).size : 0
  }

  #counter(name) {
    return join(this.#folder, `${name}.flushes`)
  }
}

/** `{ flushDelay }` with its files in `folder`, or `{ error }`: why it is impossible here. */
export function buildFlushDelay(ms, folder, compiler = 'cc') {
  if (process.platform !== 'linux') return { error: '--flush-ms: works on Linux only, because it needs LD_PRELOAD' }
  const library = join(folder, 'flush-delay.so')
  const args = ['-shared', '-fPIC', '-O1', '-o', library, here('flush-delay.c'), '-ldl']
  const { error, status, stderr } = spawnSync(compiler, args, { encoding: 'utf8' })
  if (error !== undefined) {
    return {
      error: `--flush-ms: needs the C compiler ${compiler}; install one, for example: apt-get install gcc libc6-dev`,
    }
  }
  if (status !== 0) {
    return {
      error: `--flush-ms: ${compiler} failed; it also needs the C headers (apt-get install libc6-dev)\n${stderr.trim()}`,
    }
  }
  return { flushDelay: new FlushDelay(ms, folder, library) }
}
