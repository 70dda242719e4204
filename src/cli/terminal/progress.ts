// Reports the progress of slow work on standard error: on one updated line of a terminal, elsewhere as occasional lines.

import { formatDuration } from './text.ts'

const FIRST_MS = 1_000
const TERMINAL_EVERY_MS = 250
const ELSEWHERE_EVERY_MS = 10_000

export interface ProgressOutput {
  readonly isTTY?: boolean
  write(text: string): unknown
}

/** Runs the work. After one second, prints `what` and the elapsed time. */
export async function withProgress<T>(
  what: string,
  work: () => Promise<T>,
  output: ProgressOutput = process.stderr,
): Promise<T> {
  const started = performance.now()
  const onTerminal = output.isTTY === true
  let timer: NodeJS.Timeout | undefined
  let told = false
  const report = () => {
    const line = `${what}: ${formatDuration(Math.floor((performance.now() - started) / 1_000) * 1_000)}`
    output.write(onTerminal ? `\r\u001b[K${line}` : `${line}\n`)
    told = true
    timer = setTimeout(report, onTerminal ? TERMINAL_EVERY_MS : ELSEWHERE_EVERY_MS)
  }
  timer = setTimeout(report, FIRST_MS)
  try {
    return await work()
  } finally {
    clearTimeout(timer)
    if (told && onTerminal) output.write('\r\u001b[K')
  }
}
