// Claude Code with cwm: its turns, and the tools over both transports, set up by the commands in docs/claude-code.md.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Settings } from '../../src/config/schema.ts'
import { documentWindow } from '../support/asks.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { rest } from '../support/rest.ts'
import { blockOf } from './support/docs.ts'
import { AgentHome } from './support/home.ts'
import { agentProgram } from './support/install.ts'
import { type AgentStack, key, realEngine, startAgentStack } from './support/stack.ts'
import { expectCached, expectWarmSecond } from './support/warm.ts'

const PAGE = 'claude-code.md'

let built: BuiltCwm
let stack: AgentStack
let home: AgentHome
beforeAll(async () => {
  built = await buildCwm()
}, 60_000)
afterAll(() => built?.dispose())
beforeEach(() => open())
afterEach(() => close())

async function open(settings: Partial<Settings> = {}): Promise<void> {
  ;[stack, home] = await Promise.all([startAgentStack(settings), AgentHome.create()])
  await home.link('claude', agentProgram('claude'))
  await home.link('cwm', process.execPath, built.main)
}

async function close(): Promise<void> {
  await stack?.close()
  await home?.dispose()
}

interface Options {
  readonly env?: Readonly<Record<string, string>>
  /** Claude Code exits with 1 if its last answer was cut. */
  readonly mayFail?: boolean
}

/** Runs commands of the page, then one of ours, in one shell. */
const shell = (commands: string, words: readonly string[] = [], { env, mayFail = false }: Options = {}) => {
  const script = words.length === 0 ? commands : `${commands}\nexec "$@"`
  return home.run('sh', ['-ec', script, 'sh', ...words], { env: { CWM_API_KEY: key, ...env }, mayFail })
}

/** With a real engine every answer is cut, because its noise does not end. */
const claude = (words: readonly string[], options: Options = {}) =>
  shell(blockOf(PAGE, 'sh', 'ANTHROPIC_BASE_URL', stack), ['claude', '-p', ...words], {
    mayFail: realEngine !== undefined,
    ...options,
  })

describe('turns', () => {
  it('go on in a second process, warm', async () => {
    await expectWarmSecond(
      stack,
      () => claude(['The buoy is called Lomvi.']),
      () => claude(['--continue', 'What is the buoy called?']),
    )
  })

  // When cut by its own limit, Claude Code asks the model up to three times to continue.
  it('go on, warm, behind an answer that was cut', async () => {
    const cut = { env: { CLAUDE_CODE_MAX_OUTPUT_TOKENS: '16' }, mayFail: true }
    for (let part = 0; part < 4; part++) stack.sim?.script({ content: `Part ${part}: ${'and so on, '.repeat(40)}` })

    await expectWarmSecond(
      stack,
      () => claude(['The buoy is called Lomvi.'], cut),
      () => claude(['--continue', 'What is the buoy called?'], cut),
    )

    expect(stack.turns().length).toBeGreaterThan(4)
  })

  it('of a second conversation of one user are warm with isolation by user', async () => {
    await close()
    await open({ isolation: 'user' })

    await claude(['The buoy is called Lomvi.'])
    const before = stack.turns().length
    await claude(['Which files are here?'])

    expectCached('second conversation, isolation by user', stack, before, 0.8)
    expect(stack.turns()[0]?.cached).toBe(0)
    expect(await stack.sessions()).toHaveLength(2)
  })
})

// A model that produces noise calls a tool only if scripted.
describe.skipIf(realEngine !== undefined)('the tools', () => {
  it.each([
    ['HTTP', '--transport http'],
    ['standard input and output', '-- cwm mcp'],
  ])('freeze, list and thaw a window over %s', async (_, mark) => {
    const name = 'before-refactoring'
    const call = (tool: string, args: object) =>
      stack.sim?.script({ toolCalls: [{ name: `mcp__cwm__${tool}`, arguments: args }] })
    await shell(blockOf(PAGE, 'sh', mark, stack))

    const { out: servers } = await shell('claude mcp list')
    call('window_freeze', { window_name: name })
    call('window_list', { search: name })
    call('window_thaw', { window_name: name, new_session_id: 'again' })
    const told = ['--allowedTools', 'mcp__cwm__*', '--output-format', 'stream-json', '--verbose']
    const { out } = await claude(['Freeze this, list it, and thaw it again.', ...told])

    expect(servers).toMatch(/^cwm:.*Connected$/m)
    const [frozen, list, thawed] = toolResults(out)
    expect(frozen).toMatchObject({
      name,
      state: 'frozen',
      receipt: { durability: 'l2', cached_tokens: expect.any(Number) },
    })
    expect(list).toMatchObject({ windows: [{ name }] })
    expect(thawed).toMatchObject({ window: name, session_id: 'again', drift: false })
    expect(Number(thawed?.restored_tokens)).toBeGreaterThan(0)
    const auth = { authorization: `Bearer ${key}` }
    const session = await rest<object>(stack.url, 'GET', '/sessions/again', undefined, auth)
    expect(session).toMatchObject({ base_window: name })
  })

  it('ask many windows in one call', async () => {
    const headers = { authorization: `Bearer ${key}` }
    for (const name of ['ada', 'bo']) await documentWindow(stack.url, name, { headers })
    await stack.sim?.restartEngine()
    await shell(blockOf(PAGE, 'sh', '--transport http', stack))
    const question = { question: 'What is the harbor called?', tag: 'law', reduce: 'none' }
    stack.sim?.script({ toolCalls: [{ name: 'mcp__cwm__windows_ask', arguments: question }] })

    const told = ['--allowedTools', 'mcp__cwm__*', '--output-format', 'stream-json', '--verbose']
    const { out } = await claude(['Ask all windows about law what the harbor is called.', ...told])

    const [asked] = toolResults(out)
    expect(asked).toMatchObject({
      answers: ['ada', 'bo'].map((window) => ({ window, answer: expect.stringContaining(`Port-${window}`) })),
      receipt: { windows: 2, not_found: 0, restored_tokens: expect.any(Number) },
    })
    const receipt = asked?.receipt as { readonly restored_tokens: number } | undefined
    expect(receipt?.restored_tokens).toBeGreaterThanOrEqual(2 * 256)
    // Only the agent's own conversation is a session.
    expect(await stack.sessions()).toHaveLength(1)
  })
})

/** The structured results of the tools that were called, from the events that Claude Code prints. */
function toolResults(output: string): readonly Record<string, unknown>[] {
  const events = output.split('\n').filter((line) => line.startsWith('{'))
  return events.flatMap((line) => {
    const { tool_use_result: result } = JSON.parse(line) as { tool_use_result?: ToolResult }
    return result?.structuredContent === undefined ? [] : [result.structuredContent]
  })
}

interface ToolResult {
  readonly structuredContent?: Record<string, unknown>
}
