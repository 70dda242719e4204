// `cwm engines`: lists the engines behind a running cwm, drains one before it is taken down, and resumes it.

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
    .description('Stop sending new work to an engine. Each of its sessions moves to another engine with its next turn')
    .option('--wait', 'wait until no request is in flight there')
    .option(
      '--timeout <seconds>',
      'with --wait: stop waiting after this time, and exit with 1 (default: no limit)',
      positive,
    )
    // commander assigns options that the parent also has to the parent, so both are read.
    .action((url: string, _: DrainOptions, command: Command) => {
      const options: DrainOptions = command.optsWithGlobals()
      return runCommand(options, (context) => drain(context, url, options))
    })

  withConnection(engines.command('resume').argument('<url>', 'the address of the engine', engineUrl))
    .description('Send new work to a drained engine again. Sessions that moved stay where they are')
    .action((url: string, _: CommonOptions, command: Command) =>
      runCommand(command.optsWithGlobals<CommonOptions>(), async ({ rest, show, signal }) => {
        show(await change(rest, 'resume', url, signal), (engine) => formatResumed(engine))
      }),
    )
}

/** Throws commander's own error. */
function engineUrl(url: string): string {
  if (/^https?:\/\/\S+$/.test(url)) return url
  throw new InvalidArgumentError('It must be the address of an engine, as `cwm engines` lists it.')
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
      ? await progress(`waiting for requests in flight at ${first.id}`, () => untilDrained(context, first, limitMs))
      : first
  show(last, (engine) => formatDrained(engine, wait === true))
  if (wait === true && !last.drained) process.exitCode = 1
}

/** Polls until nothing is in flight there, the limit has passed, or another operator resumes the engine. */
async function untilDrained({ rest, signal }: CommandContext, first: EngineJson, limitMs: number): Promise<EngineJson> {
  const started = performance.now()
  let last = first
  while (!last.drained && last.state !== 'up' && last.state !== 'starting' && performance.now() - started < limitMs) {
    await after(POLL_MS, undefined, { signal })
    const { data } = await rest.json<EngineListJson>(PATH, { signal })
    const found = data.find(({ id }) => id === first.id)
    if (found === undefined) return { ...last, in_flight: 0, drained: true }
    // An engine that has died also has nothing in flight.
    last = found.state === 'down' && found.in_flight === 0 ? { ...found, drained: true } : found
  }
  return last
}

export function formatDrained({ id, state, drained, in_flight, placements }: EngineJson, waited: boolean): string[] {
  const moves =
    placements === null || placements === 0
      ? []
      : [
          `${pluralize(placements, 'session')} still placed there; each moves with its next turn, so you need not wait for it`,
        ]
  if (drained) return [`${id} is drained: this cwm has no request in flight there, and sends no new work`, ...moves]
  if (state === 'up' || state === 'starting')
    return [`${id} is no longer draining: it was resumed while this command waited`]
  const flight = `this cwm has ${pluralize(in_flight, 'request')} in flight there`
  return [
    `${id} is draining: ${flight}${waited ? '; --timeout has passed' : '; pass --wait to wait for them'}`,
    ...moves,
  ]
}

function formatResumed({ id, drained_by }: EngineJson): string[] {
  if (drained_by === 'settings')
    return [`${id} still drains, because the settings have drain: true for it; remove that and reload`]
  return [`${id} receives new work again`]
}

const columns: readonly Column<EngineJson>[] = [
  { title: 'ENGINE', value: ({ id }) => id, elastic: true },
  { title: 'STATE', value: ({ state, drained }) => (drained ? 'drained' : state) },
  { title: 'WEIGHT', value: ({ weight }) => weight, align: 'right', omit: 2 },
  { title: 'IN FLIGHT', value: ({ in_flight }) => in_flight, align: 'right' },
  { title: 'PLACED', value: ({ placements }) => placements ?? undefined, align: 'right', omit: 1 },
  { title: 'MODELS', value: ({ models }) => models?.join(',') ?? '', elastic: true },
  { title: 'LMCACHE', value: ({ lmcache_instance }) => lmcache_instance ?? '', omit: 3 },
  { title: 'ERROR', value: ({ error }) => error ?? '', elastic: true },
]
