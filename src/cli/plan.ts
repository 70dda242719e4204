// `cwm plan`: what a deployment needs, from a model's config.json, or from a frozen window of a running cwm. Needs neither engine nor GPU.

import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { CwmError } from '../base/errors.ts'
import { kvShapeOf } from '../plan/kv-shape.ts'
import { planOf, type TokenBytes, tokenBytesOf } from '../plan/plan.ts'
import { parseConfig } from '../plan/read-config.ts'
import type { WindowJson } from '../wire/windows.ts'
import { type CommandContext, type CommonOptions, runCommand, withConnection } from './client/command.ts'
import { positive } from './client/lists.ts'
import { windowPath } from './client/paths.ts'
import { UsageError } from './client/rest.ts'
import { formatPlan, type Source } from './plan-text.ts'

const GB = 1e9
/** Files of real models have a few kilobytes. */
const MAX_FILE_BYTES = 4_000_000
/** A freeze that computed less shows no rate. */
const MIN_COMPUTED_TOKENS = 512

interface PlanFlags extends CommonOptions {
  readonly model?: string
  readonly window?: string
  readonly sessions: number
  readonly context?: number
  readonly windows: number
  readonly tp: number
  readonly dtype?: string
  readonly kvCacheDtype?: string
  readonly turns: number
  readonly turnsPerMinute: number
  readonly answer: number
  readonly l1?: number
  readonly bandwidth: readonly number[]
  readonly prefillRate?: number
}

/** Adds the command `plan`. */
export function addPlan(program: Command): void {
  withConnection(program.command('plan'))
    .description(
      'Compute what a deployment needs: KV per token, tiers, store, proxies, and whether loading beats computing',
    )
    .option('--model <file>', "config.json of a Hugging Face model, or the model's folder")
    .option('--window <name>', 'instead: a frozen window of a running cwm, whose KV is measured')
    .option('--sessions <n>', 'sessions with KV', positive, 1)
    .option('--context <tokens>', 'tokens of each session and window (default with --window: its own)', positive)
    .option('--windows <n>', 'frozen windows', positiveOrZero, 0)
    .option('--tp <n>', 'tensor-parallel GPUs of the engine', positive, 1)
    .option('--dtype <type>', "vLLM's --dtype (default: the file's)")
    .option('--kv-cache-dtype <type>', "vLLM's --kv-cache-dtype (default: the model's)")
    .option('--turns <n>', 'turns of a session', positive, 10)
    .option('--turns-per-minute <n>', 'turns of a session in a minute', aboveZero, 1)
    .option('--answer <tokens>', 'tokens of an answer', positive, 500)
    .option('--l1 <gb>', "gigabytes of LMCache's memory", aboveZero)
    .option('--bandwidth <gb/s>', 'from storage to engine, gigabytes a second; repeatable', collect, [])
    .option('--prefill-rate <tokens/s>', 'tokens that the engine computes in a second', aboveZero)
    .action((options: PlanFlags) =>
      runCommand(options, async (context) => {
        const source = await asUsage(() => sourceOf(options, context))
        const { l1, bandwidth, sessions, windows, turns, turnsPerMinute, answer } = options
        const plan = planOf({
          bytes: source.bytes,
          sessions,
          context: source.context,
          windows,
          turns,
          turnsPerMinute,
          answer,
          l1Bytes: l1 === undefined ? undefined : l1 * GB,
          bandwidths: bandwidth.map((gb) => gb * GB),
          prefillRate: options.prefillRate ?? source.prefillRate,
        })
        const { bytes: _, ...known } = source
        context.show(toSnakeCase({ ...known, sessions, windows, ...plan }), () =>
          formatPlan(context.screen, source, { sessions, windows }, plan),
        )
      }),
    )
}

interface MeasuredSource extends Source {
  readonly bytes: TokenBytes
}

function sourceOf(options: PlanFlags, context: CommandContext): Promise<MeasuredSource> {
  const { model, window } = options
  if ((model === undefined) === (window === undefined)) {
    throw new UsageError('set either --model FILE (config.json of the model) or --window NAME (a frozen window)')
  }
  return model === undefined ? ofWindow(window ?? '', options, context) : ofFile(model, options)
}

async function ofFile(path: string, { context, tp, dtype, kvCacheDtype }: PlanFlags): Promise<MeasuredSource> {
  if (context === undefined) throw new UsageError('--context is missing: tokens of a session or window')
  const shape = kvShapeOf(parseConfig(await read(path)), { dtype, kvCacheDtype })
  const { full, sliding, state } = shape.layers
  const withKv =
    state === 0 ? `${full + sliding} layers` : `${full + sliding} of ${full + sliding + state} layers with KV`
  return {
    model: `${shape.modelType}, ${withKv}, ${shape.dtype}`,
    bytes: tokenBytesOf(shape, tp),
    context,
    prefillRate: undefined,
    notes: shape.notes,
  }
}

/** What LMCache's directory said of the window's chunks, and how fast its own freeze computed. */
async function ofWindow(
  name: string,
  { context }: PlanFlags,
  { rest, signal }: CommandContext,
): Promise<MeasuredSource> {
  const { model = 'unknown model', receipt } = await rest.json<WindowJson>(windowPath(name), { signal })
  const { chunk_bytes: bytes, chunk_size: size, tokens = 0, computed_tokens: computed, ms } = receipt ?? {}
  if (bytes === undefined || bytes === null || size === undefined || size === null) {
    throw new UsageError(
      `the receipt of window ${name} has no chunk_bytes: it was frozen without LMCache's directory, or by an older version. Freeze another one, or use --model`,
    )
  }
  const warmMs = (computed ?? 0) >= MIN_COMPUTED_TOKENS && computed === tokens ? ms?.warm : undefined
  const prefillRate = warmMs === undefined || warmMs <= 0 ? undefined : tokens / (warmMs / 1_000)
  return {
    model,
    bytes: { stored: bytes / size, perRank: null, slidingPerSession: null },
    context: context ?? tokens,
    prefillRate,
    notes: [
      `KV per token as LMCache's directory has it for window ${name}`,
      ...(prefillRate === undefined ? [] : ['the prefill rate is that of its freeze, unless --prefill-rate is set']),
    ],
  }
}

async function read(path: string): Promise<string> {
  try {
    const found = await stat(path)
    const file = found.isDirectory() ? join(path, 'config.json') : path
    if ((await stat(file)).size > MAX_FILE_BYTES) throw new UsageError(`${file} is too large for a config.json`)
    return await readFile(file, 'utf8')
  } catch (thrown) {
    if (thrown instanceof UsageError) throw thrown
    throw new UsageError(`--model: ${(thrown as Error).message}`)
  }
}

/** What a file or flag says is wrong with the command line, not with cwm. */
async function asUsage<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (thrown) {
    throw thrown instanceof CwmError ? new UsageError(thrown.message) : thrown
  }
}

function aboveZero(value: string): number {
  const number = Number(value)
  if (Number.isFinite(number) && number > 0) return number
  throw new InvalidArgumentError('It must be a number above 0.')
}

function positiveOrZero(value: string): number {
  return value === '0' ? 0 : positive(value)
}

function collect(value: string, earlier: readonly number[]): readonly number[] {
  return [...earlier, aboveZero(value)]
}

/** REST's form of names, as everywhere with `--json`. */
function toSnakeCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toSnakeCase)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      toSnakeCase(inner),
    ]),
  )
}
