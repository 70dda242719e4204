// `cwm top`: sessions, engines, and load of a running cwm, live on the whole terminal, or once.

import { setTimeout as after } from 'node:timers/promises'
import { type Command, InvalidArgumentError } from 'commander'
import { type CommandContext, type CommonOptions, runCommand, withConnection } from './client/command.ts'
import { RefusedError, UnreachableError } from './client/rest.ts'
import { formatFrame, formatLines, sessionRows } from './top/frame.ts'
import { FullScreen } from './top/full-screen.ts'
import { type Snapshot, SnapshotReader } from './top/snapshot.ts'
import { afterKey, firstView, type View } from './top/view.ts'

interface TopOptions extends CommonOptions {
  /** Seconds. */
  readonly interval: number
  readonly once?: boolean
}

/** A reading that takes longer counts as failed, milliseconds. */
const READ_TIMEOUT_MS = 10_000

/** Adds the command `top`. */
export function addTop(program: Command): void {
  withConnection(program.command('top'))
    .description('Watch sessions, engines, and load of a running cwm; without a terminal, print them once')
    .option('--interval <seconds>', 'time between readings', seconds, 2)
    .option('--once', 'print one reading, and exit')
    .action((options: TopOptions) => runCommand(options, (context) => run(context, options)))
}

/** Throws commander's own error. */
function seconds(value: string): number {
  const number = Number(value)
  if (value.trim() !== '' && number >= 0.5 && number <= 3_600) return number
  throw new InvalidArgumentError('It must be a number of seconds from 0.5 to 3600.')
}

async function run(context: CommandContext, { interval, once }: TopOptions): Promise<void> {
  const { rest, screen, json, show, signal } = context
  const reader = new SnapshotReader(rest, screen.now)
  const first = await read(reader, signal)
  if (json || once === true || !screen.isTerminal || process.stdin.isTTY !== true) {
    show(first, (snapshot) =>
      screen.isTerminal ? formatFrame(screen, snapshot, { view: firstView }) : formatLines(snapshot),
    )
    return
  }
  await watch(context, reader, first, interval * 1_000)
}

function read(reader: SnapshotReader, signal: AbortSignal): Promise<Snapshot> {
  return reader.read(AbortSignal.any([signal, AbortSignal.timeout(READ_TIMEOUT_MS)]))
}

/** Until the user quits, or the signal aborts, which is no failure here. */
async function watch(
  { screen, signal: interrupted }: CommandContext,
  reader: SnapshotReader,
  first: Snapshot,
  intervalMs: number,
): Promise<void> {
  const quit = new AbortController()
  const signal = AbortSignal.any([interrupted, quit.signal])
  let snapshot = first
  let failure: string | undefined
  let view: View = firstView
  const draw = () => terminal.draw(formatFrame(screen, snapshot, { view, rows: terminal.size.rows, failure }))
  const terminal = new FullScreen({
    onRedraw: draw,
    onInterrupt: () => quit.abort(),
    onKey: (key) => {
      const next = afterKey(view, key, sessionRows(0, terminal.size.rows))
      if (next === undefined) quit.abort()
      else {
        view = { ...next, offset: Math.min(next.offset, Math.max(0, (snapshot.sessions?.length ?? 0) - 1)) }
        draw()
      }
    },
  })
  try {
    while (!signal.aborted) {
      draw()
      await after(intervalMs, undefined, { signal })
      try {
        snapshot = await read(reader, signal)
        failure = undefined
      } catch (thrown) {
        signal.throwIfAborted()
        failure = failureOf(thrown)
      }
    }
  } catch (thrown) {
    if (!signal.aborted) throw thrown
  } finally {
    terminal.close()
  }
}

/** Shown until a reading succeeds again: cwm may be restarting. Rethrows what is no failure of cwm. */
function failureOf(thrown: unknown): string {
  if (thrown instanceof UnreachableError || thrown instanceof RefusedError) return `not current: ${thrown.message}`
  if (thrown instanceof Error && thrown.name === 'TimeoutError') {
    return `not current: cwm does not answer within ${READ_TIMEOUT_MS / 1_000} s`
  }
  throw thrown
}
