// `cwm ask`: asks frozen windows of a running cwm.

import { type Command, Option } from 'commander'
import type { AskBody, WindowAnswerJson } from '../wire/asks.ts'
import type { ManyAskBody } from '../wire/many-asks.ts'
import { askMany } from './ask-many.ts'
import { type CommandContext, type CommonOptions, runCommand, withConnection } from './client/command.ts'
import { collect, positive } from './client/lists.ts'
import { windowPath } from './client/paths.ts'
import { formatAnswer } from './client/receipts.ts'
import { UsageError } from './client/rest.ts'

interface AskFlags extends CommonOptions {
  readonly window?: readonly string[]
  readonly tag?: string
  readonly search?: string
  readonly select?: number
  readonly reduce?: NonNullable<ManyAskBody['reduce']>
  readonly reduceModel?: string
  readonly parallel?: number
  readonly budgetTokens?: number
  readonly deadlineMs?: number
  readonly instructions?: string
  readonly maxTokens?: number
}

/** Adds the command `ask`. */
export function addAsk(program: Command): void {
  withConnection(program.command('ask <question>'))
    .description('Ask one frozen window or many; the conversations in them stay as they are')
    .option('--window <name>', 'window to ask; may be repeated', collect)
    .option('--tag <tag>', 'ask all windows with this tag')
    .option('--search <text>', 'ask all windows with this text in their name')
    .option('--select <n>', 'ask only the n windows whose text fits the question best', positive)
    .addOption(
      new Option('--reduce <how>', 'of many answers, make one (synthesize), choose one (best), or show all (none)')
        .choices(['synthesize', 'best', 'none'])
        .default(undefined, 'synthesize'),
    )
    .option(
      '--reduce-model <name>',
      'model that writes or chooses the answer (default: the model of most of the windows)',
    )
    .option('--parallel <n>', "windows to ask at once (default: as many as fit into the engine's cache)", positive)
    .option('--budget-tokens <n>', 'most tokens to compute, as estimated before each window', positive)
    .option('--deadline-ms <n>', 'leave out windows that have not answered by then, milliseconds', positive)
    .option('--instructions <text>', 'how to answer')
    .option('--max-tokens <n>', 'most tokens of each answer', positive)
    .action((question: string, options: AskFlags) =>
      runCommand(options, async (context) => {
        const [name] = options.window ?? []
        if (name !== undefined && isSingle(options)) await askOne(context, name, { question, ...sharedOf(options) })
        else await askMany(context, bodyOf(question, options))
      }),
    )
}

/** One window, without options that only apply to many: its answer is printed alone, with its own receipt. */
function isSingle({ window = [], ...rest }: AskFlags): boolean {
  const many = [rest.tag, rest.search, rest.select, rest.reduce, rest.reduceModel, rest.parallel]
  return window.length === 1 && [...many, rest.budgetTokens, rest.deadlineMs].every((flag) => flag === undefined)
}

async function askOne({ rest, screen, show, progress, signal }: CommandContext, name: string, body: AskBody) {
  const answer = await progress(`asking ${name}`, () =>
    rest.json<WindowAnswerJson>(`${windowPath(name)}/ask`, { method: 'POST', body, signal }),
  )
  show(answer, (shown) => formatAnswer(screen, shown))
}

/** Throws `UsageError` unless it is clear which windows are meant. */
function bodyOf(question: string, options: AskFlags): ManyAskBody {
  const {
    window,
    tag,
    search,
    select,
    reduce = 'synthesize',
    reduceModel,
    parallel,
    budgetTokens,
    deadlineMs,
  } = options
  if ((window === undefined) === (tag === undefined && search === undefined)) {
    throw new UsageError(
      'say which windows to ask: either --window NAME (may be repeated), or --tag TAG, --search TEXT, or both',
    )
  }
  return {
    question,
    windows: window === undefined ? defined({ tag, search }) : { names: [...window] },
    reduce,
    ...sharedOf(options),
    ...defined({
      select: select === undefined ? undefined : { text: select },
      reduce_model: reduceModel,
      parallel,
      budget_tokens: budgetTokens,
      deadline_ms: deadlineMs,
    }),
  }
}

function sharedOf({ instructions, maxTokens }: AskFlags) {
  return defined({ instructions, max_tokens: maxTokens })
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** Leaves out fields without a value. */
function defined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>
}
