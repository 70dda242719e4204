// `cwm chat` with piped input: turns, slash commands, a stopped answer, notices about the context.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { PageJson } from '../../src/wire/lists.ts'
import type { SessionJson } from '../../src/wire/sessions.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { CliProcess } from '../support/cli-process.ts'
import { prose } from '../support/conversation.ts'
import { frozenSession, rest } from '../support/rest.ts'
import { type Stack, type StackOptions, startStack } from '../support/stack.ts'

let built: BuiltCwm
let stack: Stack
let chat: CliProcess | undefined

beforeAll(async () => {
  built = await buildCwm()
})

afterAll(() => built.dispose())

afterEach(async () => {
  await chat?.dispose()
  chat = undefined
  await stack.close()
})

async function start(words: readonly string[] = [], options: StackOptions = {}): Promise<CliProcess> {
  stack = await startStack(options)
  return talk(words)
}

function talk(words: readonly string[], input?: string): CliProcess {
  chat = new CliProcess(built, ['chat', ...words], {
    env: { CWM_URL: stack.url },
    ...(input === undefined ? {} : { input }),
  })
  return chat
}

const sessions = async () => (await rest<PageJson<SessionJson>>(stack.url, 'GET', '/sessions')).data

describe('cwm chat', () => {
  it('sends a turn per line, all in one session, and ends when the input ends', async () => {
    stack = await startStack()

    const { out, ended } = await talk(['--session', 'me'], 'Hello there\nAnd again\n').result()

    expect(out.trim().split('\n')).toHaveLength(2)
    expect(ended).toBe(0)
    expect(await sessions()).toMatchObject([{ id: 'me', turns: 2 }])
  })

  it('freezes, and thaws into a new session with a report of the restored tokens', async () => {
    const running = await start()
    running.say(`Remember: ${prose(700)}`)
    await running.shows('Noted.')
    running.say('/freeze kept')
    await running.shows(/frozen kept: [\d,]+ tokens, [\d,]+ restorable, pinned/)

    running.say('/thaw kept')
    await running.shows(/thawed kept into session chat-[0-9a-f]{12}: [\d,]+ of [\d,]+ tokens restored/)
    running.say('Who runs past the seven mills?')
    running.child.stdin?.end()

    expect((await running.result()).ended).toBe(0)
    const [second, first] = await sessions()
    expect(second).toMatchObject({ base_window: 'kept', turns: 1 })
    expect(first).toMatchObject({ turns: 1 })
  })

  it('continues from a window, and reports what its first turn restored', async () => {
    stack = await startStack()
    await frozenSession(stack.url, { window: 'kept' })

    const { err } = await talk(['--window', 'kept'], 'And now?\n').result()

    expect(err).toMatch(/window kept; \/help lists the commands\n/)
    expect(err).toMatch(/\(restored [\d,]+ tokens of window kept\)/)
  })

  it('joins lines that end in a backslash', async () => {
    const running = await start(['--session', 'me'])
    running.say('one \\')
    running.say('two')
    running.child.stdin?.end()
    await running.result()

    const body = stack.sim.requests
      .all('engine')
      .find(({ path }) => path === '/v1/chat/completions')
      ?.body?.toString()
    expect(JSON.parse(body ?? '')).toMatchObject({ messages: [{ role: 'user', content: 'one \ntwo' }] })
  })

  it('stops an answer on SIGINT, drops the turn, and continues', async () => {
    stack = await startStack({ sim: { decodeTokensPerSecond: 5 } })
    stack.sim.script({ content: `The sea. ${prose(100)}` })
    const running = talk(['--session', 'me'])
    running.say('Tell me much about the sea.')
    await running.shows('The sea.')
    running.child.kill('SIGINT')
    await running.shows('stopped; this turn is not part of the chat')
    running.say('/status')
    await running.shows(/turns +0/)
    running.child.kill('SIGINT')

    // It waits for a line now, and since it is not on a terminal, it exits.
    expect((await running.result()).ended).toBe(1)
  })

  it('reports why a turn was rejected, drops it, and exits with 1', async () => {
    stack = await startStack({ sim: { maxModelLen: 64 } })

    const { err, ended } = await talk(['--session', 'me'], `${prose(300)}\nHello\n`).result()

    expect(err).toMatch(/cwm: .*maximum context length/)
    expect(ended).toBe(1)
    expect(await sessions()).toMatchObject([{ id: 'me', turns: 1 }])
  })

  it('warns that an existing session has turns that the chat does not know', async () => {
    stack = await startStack()
    await frozenSession(stack.url, { session: 'ann' })

    const { err } = await talk(['--session', 'ann'], '').result()

    expect(err).toContain('this session already has 1 turn, which this chat does not know')
  })

  it('replaces characters that a terminal would interpret', async () => {
    stack = await startStack()
    stack.sim.script({ content: 'red \u001b[31malert\u0007' })

    const { out } = await talk([], 'Hello\n').result()

    expect(out).toBe('red \ufffd[31malert\ufffd\n')
  })
})
