// `cwm engines`: lists the engines behind a running cwm, drains one before it is taken down, and gives it work again.

import { setTimeout as after } from 'node:timers/promises'
import { type Command, InvalidArgumentError } from 'commander'
import type { EngineJson, EngineListJson } from '../wire/engines.ts'
import { type CommandContext, type CommonOptions, runCommand, withConnection } from './client/command.ts'
import { positive } from './client/lists.ts'
import { type Column, formatTable } from './terminal/table.ts'
import { pluralize } from './terminal/text.ts'

const PATH = '/cwm/v1/engines'
const POLL_MS = 1_000

interface DrainOptions extends CommonOptions {
  readonly wait?: boolean
  /** Seconds. */
  readonly timeout?: number
}

/** Adds the command `engines` and its subcommands. */
export function addEngines(program: Command): void {
  const engines = withConnection(program.command('engines'))
    .description("List the engines behind a running cwm, or drain one. Needs the operator's key")
    .action((options: CommonOptions) =>
      runCommand(options, async ({ rest, screen, show, signal }) => {
        const list = await rest.json<EngineListJson>(PATH, { signal })
        show(list, ({ data }) => formatTable(screen, columns, data))
      }),
    )

  withConnection(engines.command('drain').argument('<url>', 'the address of the engine', engineUrl))
    .description('Give an engine no new work. Its sessions move to other engines with their next turns')
    .option('--wait', 'wait until no request is in flight there')
    .option('--timeout <seconds>', 'with --wait: how long (default: no limit)', positive)
    // Options of the same names as the parent's are the parent's for commander.
    .action((url: string, _: DrainOptions, command: Command) => {
      const options: DrainOptions = command.optsWithGlobals()
      return runCommand(options, (context) => drain(context, url, options))
    })

  withConnection(engines.command('resume').argument('<url>', 'the address of the engine', engineUrl))
    .description('Give a drained engine work again. Sessions that moved stay where they are')
    .action((url: string, _: CommonOptions, command: Command) =>
      runCommand(command.optsWithGlobals<CommonOptions>(), async ({ rest, show, signal }) => {
        show(await change(rest, 'resume', url, signal), (engine) => formatResumed(engine))
      }),
    )
}

/** Throws commander's own error. */
function engineUrl(url: string): string {
  if (/^https?:\/\/\S+$/.test(url)) return url
  throw new InvalidArgumentError('It must be the address of an engine, as cwm engines lists it.')
}

function change(rest: CommandContext['rest'], what: 'drain' | 'resume', engine: string, signal: AbortSignal) {
  return rest.json<EngineJson>(`${PATH}/${what}`, { method: 'POST', body: { engine }, signal })
}

async function drain(context: CommandContext, url: string, { wait, timeout }: DrainOptions): Promise<void> {
  const { rest, show, progress, signal } = context
  const first = await change(rest, 'drain', url, signal)
  const limitMs = timeout === undefined ? Number.POSITIVE_INFINITY : timeout * 1_000
  const last =
    wait === true && !first.drained
      ? await progress(`waiting for the requests in flight at ${first.id}`, () => untilDrained(context, first, limitMs))
      : first
  show(last, (engine) => formatDrained(engine, wait === true))
  if (wait === true && !last.drained) process.exitCode = 1
}

/** Polls until nothing is in flight there, or the time is over, or somebody else resumed it. */
async function untilDrained({ rest, signal }: CommandContext, first: EngineJson, limitMs: number): Promise<EngineJson> {
  const started = performance.now()
  let last = first
  while (!last.drained && last.state !== 'up' && last.state !== 'starting' && performance.now() - started < limitMs) {
    await after(POLL_MS, undefined, { signal })
    const { data } = await rest.json<EngineListJson>(PATH, { signal })
    const found = data.find(({ id }) => id === first.id)
    if (found === undefined) return { ...last, in_flight: 0, drained: true }
    // One that has died has nothing in flight either.
    last = found.state === 'down' && found.in_flight === 0 ? { ...found, drained: true } : found
  }
  return last
}

export function formatDrained({ id, state, drained, in_flight, placements }: EngineJson, waited: boolean): string[] {
  const moves =
    placements === null || placements === 0
      ? []
      : [`${pluralize(placements, 'session')} still placed there; each moves with its next turn, and needs no wait`]
  if (drained) return [`${id} is drained: no request in flight at this cwm, and no new work`, ...moves]
  if (state === 'up' || state === 'starting') return [`${id} was given work again meanwhile (cwm engines resume)`]
  const flight = `${pluralize(in_flight, 'request')} in flight at this cwm`
  return [`${id} is draining: ${flight}${waited ? ', and the time is over' : '; add --wait to wait'}`, ...moves]
}

function formatResumed({ id, drained_by }: EngineJson): string[] {
  if (drained_by === 'settings')
    return [`${id} still drains, because the settings say so (drain: true); change them and reload`]
  return [`${id} gets work again`]
}

const columns: readonly Column<EngineJson>[] = [
  { title: 'engine', value: ({ id }) => id, elastic: true },
  { title: 'state', value: ({ state, drained }) => (drained ? 'drained' : state) },
  { title: 'weight', value: ({ weight }) => weight, align: 'right' },
  { title: 'in flight', value: ({ in_flight }) => in_flight, align: 'right' },
  { title: 'placed', value: ({ placements }) => placements ?? undefined, align: 'right' },
  { title: 'models', value: ({ models }) => models?.join(',') ?? '', elastic: true },
  { title: 'lmcache', value: ({ lmcache_instance }) => lmcache_instance ?? '' },
  { title: 'error', value: ({ error }) => error ?? '', elastic: true },
]
