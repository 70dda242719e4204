// `cwm` without a command: says what can be done next, by what runs now.

import { version } from '../base/version.ts'
import type { HealthJson } from '../wire/health.ts'
import type { PageJson } from '../wire/lists.ts'
import type { SessionJson } from '../wire/sessions.ts'
import type { WindowJson } from '../wire/windows.ts'
import { exitCodes } from './client/command.ts'
import { readHealth } from './client/health.ts'
import { connect, RefusedError, type Rest, UnreachableError, UsageError } from './client/rest.ts'
import { processScreen, type Screen } from './terminal/screen.ts'
import { formatCount, formatPercent, pluralize, truncate, widthOf } from './terminal/text.ts'

/** A cwm that does not answer within this time is reported as away. */
const TIMEOUT_MS = 3_000

/** A command, and what it is for. */
type Step = readonly [command: string, purpose: string]

/** Prints the state of cwm and the commands that make sense in it. The exit code is 0 in every state, and 2 for an invalid URL. */
export async function runNextSteps(environment: NodeJS.ProcessEnv = process.env): Promise<void> {
  const screen = processScreen()
  try {
    const rest = await connect({}, environment)
    for (const line of await describeState(screen, rest, AbortSignal.timeout(TIMEOUT_MS))) screen.print(line)
  } catch (thrown) {
    if (!(thrown instanceof UsageError)) throw thrown
    screen.printError(`cwm: ${thrown.message}`)
    process.exitCode = exitCodes.usage
  }
}

async function describeState(screen: Screen, rest: Rest, signal: AbortSignal): Promise<string[]> {
  let health: HealthJson
  try {
    health = await readHealth(rest, signal)
  } catch (thrown) {
    const reason = signal.aborted
      ? `nothing answers at ${rest.url} within ${TIMEOUT_MS / 1_000} s`
      : thrown instanceof UnreachableError || thrown instanceof RefusedError
        ? thrown.message
        : undefined
    if (reason === undefined) throw thrown
    return stepsWhenDown(screen, reason)
  }
  const head = describeHealth(screen, rest.url, health)
  try {
    const query = { limit: 1 }
    const [windows, sessions] = await Promise.all([
      rest.json<PageJson<WindowJson>>('/cwm/v1/windows', { query: { ...query, state: 'frozen' }, signal }),
      rest.json<PageJson<SessionJson>>('/cwm/v1/sessions', { query, signal }),
    ])
    const found = { rest, window: windows.data[0], session: sessions.data[0] }
    return [...head, '', ...stepsWhenUp(screen, found), '', ...more]
  } catch (thrown) {
    if (signal.aborted) return [...head, '', `the lists did not answer within ${TIMEOUT_MS / 1_000} s`]
    if (!(thrown instanceof RefusedError)) throw thrown
    return [...head, '', ...stepsWhenRefused(screen, rest, thrown), '', ...more]
  }
}

const more = ['All commands: cwm --help']

function stepsWhenDown(screen: Screen, reason: string): string[] {
  return [
    screen.style('bold', `cwm ${version}`),
    `cwm: ${reason}`,
    '',
    ...steps(screen, 'Start it:', [
      ['cwm demo', 'see what it does, on a simulated engine'],
      ['cwm demo --keep', 'the same, and leave it running for your own SDK'],
      ['cwm serve --upstream http://127.0.0.1:8000', 'run it in front of your engine'],
      ['cwm serve --config cwm.yaml', 'the same, with settings in a file'],
      ['cwm doctor --upstream http://127.0.0.1:8000', 'check engine, LMCache, and storage first'],
    ]),
    '',
    'Does it run elsewhere? export CWM_URL=http://HOST:PORT',
    ...more,
  ]
}

function describeHealth(screen: Screen, url: string, { version, upstream, lmcache, store }: HealthJson): string[] {
  const down = (text: string) => screen.style('red', text)
  const parts = [
    upstream.ok ? 'engine up' : down('engine down'),
    lmcache.ok === null ? 'no LMCache' : lmcache.ok ? 'LMCache up' : down('LMCache down'),
    store.ok ? [] : down('storage down'),
  ].flat()
  return [
    `${screen.style('bold', `cwm ${version}`)} at ${url}: ${parts.join(', ')}`,
    ...(upstream.ok ? [] : [`The engine does not answer${upstream.error === undefined ? '' : `: ${upstream.error}`}`]),
    ...(upstream.ok && lmcache.ok !== false ? [] : ['Find out why: cwm doctor, with the settings of cwm serve']),
  ].map((line) => truncate(line, screen.columns))
}

interface Found {
  readonly rest: Rest
  /** The newest. */
  readonly window: WindowJson | undefined
  /** The one with the most recent turn. */
  readonly session: SessionJson | undefined
}

function stepsWhenUp(screen: Screen, { rest, window, session }: Found): string[] {
  const id = session?.id ?? 'ID'
  const freeze: Step = [`cwm windows freeze NAME --session ${id}`, 'save this session under a name']
  const watch: Step = ['cwm top', 'watch sessions and engines']
  const noKey = rest.hasKey ? [] : ['', 'Does your app send an API key? To see what it does: export CWM_API_KEY=KEY']
  if (window === undefined && session === undefined) {
    return [
      ...steps(screen, 'No requests yet. Point your app here:', [
        [`export OPENAI_BASE_URL=${rest.url}/v1`, 'OpenAI SDKs'],
        [`export ANTHROPIC_BASE_URL=${rest.url}`, 'Anthropic SDKs, Claude Code'],
        ['cwm chat', 'or talk to the model here'],
      ]),
      ...noKey,
    ]
  }
  if (window === undefined) {
    return [
      ...steps(screen, `No windows yet. ${describeSession(session)}`, [freeze, ['cwm chat', 'start a chat'], watch]),
      ...noKey,
    ]
  }
  const { name } = window
  return [
    `The newest window: ${window.name}${window.receipt === undefined ? '' : ` (${pluralize(window.receipt.tokens, 'token')})`}`,
    ...steps(screen, describeSession(session), [
      [`cwm windows thaw ${name}`, 'continue it in a new session'],
      [`cwm ask 'QUESTION' --window ${name}`, 'ask it; it stays as it is'],
      [`cwm chat --window ${name}`, 'chat from there'],
      ...(session === undefined ? [] : [freeze]),
      ['cwm windows list', 'list all windows'],
      watch,
    ]),
    ...noKey,
  ]
}

function describeSession(session: SessionJson | undefined): string {
  if (session === undefined) return ''
  const { id, usage, limit } = session
  const full =
    usage === undefined || limit === undefined
      ? ''
      : ` (${formatPercent(usage.total_tokens, limit)} of ${formatCount(limit)} tokens)`
  return `The latest session: ${id}${full}`
}

function stepsWhenRefused(screen: Screen, rest: Rest, { status, message }: RefusedError): string[] {
  if (status === 401) {
    const reason = rest.hasKey ? 'cwm rejects the key in CWM_API_KEY.' : 'cwm needs an API key.'
    return steps(screen, `${reason} Set the one that your app uses:`, [
      ['export CWM_API_KEY=KEY', 'then run cwm again'],
      ['cwm windows list --api-key-file FILE', 'or name a file that contains it'],
    ])
  }
  // The operator's key is valid, but has no windows of its own.
  if (status === 400 && rest.hasKey && message.includes('x-cwm-tenant')) {
    return steps(screen, "This is the operator's key:", [
      ['cwm top', 'watch engines and load'],
      ['cwm engines', 'list engines; drain one before it is taken down'],
      ['cwm usage --by tenant,model', 'requests and tokens of the last day'],
      ['cwm windows list --tenant ID', 'act for one tenant'],
    ])
  }
  return [`cwm: ${message}`]
}

/** The steps under a title, in two columns; one below the other where the terminal is too narrow. */
function steps(screen: Screen, title: string, list: readonly Step[]): string[] {
  const width = Math.max(...list.map(([command]) => widthOf(command)))
  const isWide = !screen.isTerminal || list.every(([, purpose]) => width + widthOf(purpose) + 6 <= screen.columns)
  const lines = list.flatMap(([command, purpose]) =>
    isWide
      ? `  ${screen.style('green', command)}${' '.repeat(width - widthOf(command))}  ${screen.style('dim', purpose)}`
      : [`  ${screen.style('green', command)}`, `      ${screen.style('dim', purpose)}`],
  )
  return [...(title === '' ? [] : [title]), ...lines]
}
