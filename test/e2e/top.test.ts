// `cwm top` as a process: on a real terminal with keys, resizes and signals, and without one for programs.

import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import { widthOf } from '../../src/cli/terminal/text.ts'
import type { Snapshot } from '../../src/cli/top/snapshot.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { CliProcess, type CliResult } from '../support/cli-process.ts'
import { chat, prose, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { OnTerminal } from '../support/on-terminal.ts'
import { type Stack, startStack } from '../support/stack.ts'

const ENTERED = '\u001b[?1049h\u001b[?25l'
const RESTORED = '\u001b[?25h\u001b[?1049l'
/** Line by line, and echoed. */
const COOKED = 'icanon echo'
const operatorKey = 'operator-0123456'
const apiKey = 'sk-acme-01234567'

let built: BuiltCwm
let stack: Stack
beforeAll(async () => {
  const tenants = [{ id: 'acme', keys: [{ name: 'main', sha256: keyHash(apiKey) }] }]
  ;[built, stack] = await Promise.all([buildCwm(), startStack({ settings: { tenants, operator_key: operatorKey } })])
  for (const session of ['ann', 'bob', 'carol']) {
    await chat(stack.url, [user(prose(300))], {
      headers: { authorization: `Bearer ${apiKey}`, 'x-cwm-session': session },
    })
  }
})
afterAll(async () => {
  await stack.close()
  await built.dispose()
})

function top(words: string, key: string = apiKey): Promise<CliResult> {
  const env = { CWM_URL: stack.url, CWM_API_KEY: key }
  return new CliProcess(built, ['top', ...words.split(' ').filter(Boolean)], { env, input: '' }).result()
}

describe('without a terminal', () => {
  it('prints one reading as lines for programs', async () => {
    const { out, err, ended } = await top('')

    const lines = out
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'))
    expect(lines.map(([kind]) => kind)).toEqual(['proxy', 'session', 'session', 'session'])
    expect(lines[0]?.slice(2, 4)).toEqual([stack.url, 'ok'])
    expect(lines.slice(1).map(([, id]) => id)).toEqual(['carol', 'bob', 'ann'])
    expect({ err, ended }).toEqual({ err: '', ended: 0 })
  })

  it('prints everything with --json, for the operator engines and load instead of sessions', async () => {
    const own = JSON.parse((await top('--json')).out) as Snapshot
    const all = JSON.parse((await top('--json', operatorKey)).out) as Snapshot

    expect(own).toMatchObject({ engines: null, sessions_total: 3, requests_in_flight: null, usage: { requests: 3 } })
    expect(own.usage.first_token_p95_ms).toBeGreaterThan(0)
    expect(all).toMatchObject({ sessions: null, requests_in_flight: 0, usage: { requests: 3, errors: 0 } })
    expect(all.engines).toMatchObject([{ id: stack.sim.engineUrl, state: 'up' }])
  })

  it('exits with 3 if nothing answers, and with 2 for an invalid interval', async () => {
    const away = await top('--url http://127.0.0.1:9')
    const invalid = await top('--interval none')

    expect(away).toMatchObject({ out: '', ended: 3 })
    expect(invalid.err).toContain('It must be a number of seconds from 0.5 to 3600.')
    expect(invalid.ended).toBe(2)
  })
})

describe('on a terminal', () => {
  let terminal: OnTerminal | undefined
  afterEach(() => terminal?.close())

  function start(words = '', { url = stack.url, columns = 80, rows = 24, env = {} } = {}): OnTerminal {
    const all = { ...environment(url), ...env }
    terminal = new OnTerminal(`"${process.execPath}" "${built.main}" top ${words}`, { env: all, columns, rows })
    return terminal
  }

  /** A shell with job control, and the function `cwm_top`. */
  function startShell(): OnTerminal {
    terminal = new OnTerminal('bash --norc --noprofile -i', { env: environment(stack.url) })
    terminal.type(`cwm_top() { "${process.execPath}" "${built.main}" top; }\n`)
    return terminal
  }

  const environment = (url: string) => ({
    PATH: process.env.PATH ?? '',
    TERM: 'xterm',
    CWM_URL: url,
    CWM_API_KEY: apiKey,
    NO_COLOR: '1',
  })

  /** What the last complete drawing shows. */
  const screenOf = ({ out }: OnTerminal) => (out.split('\u001b[H').at(-1) ?? '').split('\u001b[K')[0]

  it('shows sessions with gauges, sorts and filters by keys, and gives the terminal back', async () => {
    const top = start()
    await top.shows(/carol[^\n]*\r\n[^\n]*bob[^\n]*\r\n[^\n]*ann/)
    expect(top.out).toMatch(/carol +▒+·+ +\d+%/)

    top.type('<')
    await top.shows(/sort: name/)
    await top.shows(/ann[^\n]*\r\n[^\n]*bob[^\n]*\r\n[^\n]*carol/)
    top.type('/bo\r')
    await top.shows(/1–1 of 1 .* filter: bo /)
    expect(screenOf(top)).not.toContain('ann')
    top.type('q')

    expect(await top.ended()).toBe(0)
    expect(top.out.indexOf(ENTERED)).toBeGreaterThan(0)
    expect(top.out.indexOf(RESTORED)).toBeGreaterThan(top.out.lastIndexOf('SESSION'))
    expect(await top.modesAfterwards()).toBe(COOKED)
  })

  it('reads again at the interval, and shows a new session', async () => {
    const top = start('--interval 0.5')
    await top.shows(/1–3 of 3/)
    const headers = { authorization: `Bearer ${apiKey}`, 'x-cwm-session': 'dora' }

    await chat(stack.url, [user(prose(300))], { headers })

    await top.shows(/dora/)
    top.type('\u0003')
    expect(await top.ended()).toBe(0)
    expect([top.out.includes(RESTORED), await top.modesAfterwards()]).toEqual([true, COOKED])
  })

  it('fits the terminal, also after a resize', async () => {
    const top = start('', { columns: 120, rows: 30 })
    await top.shows(/TURNS/)
    const before = top.out.length

    await top.resize(40, 12)

    await top.shows(/not shown, too narrow/, before)
    const lines = () =>
      (top.out.split('\u001b[H').at(-1) ?? '').replaceAll('\u001b[K', '').replace('\u001b[J', '').split('\r\n')
    // stty changes the width first and then the height, so top may draw once in between.
    await until('it fits the height', () => top.out.endsWith('\u001b[J') && lines().length <= 12)
    expect(lines().length).toBeGreaterThan(3)
    expect(Math.max(...lines().map(widthOf))).toBeLessThanOrEqual(40)
  })

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const)('gives the terminal back on %s, and exits with %i', async (signal, code) => {
    const top = start()
    await top.shows(/SESSION/)

    await top.signal(signal)

    expect(await top.ended()).toBe(code)
    expect(top.out).toContain(RESTORED)
    expect(await top.modesAfterwards()).toBe(COOKED)
  })

  it.each([
    ['an exception', "throw new Error('the test broke it')"],
    ['a rejection', "void Promise.reject(new Error('the test broke it'))"],
  ])('gives the terminal back before %s ends it, so that the error can be read', async (_, fault) => {
    const preload = `process.on('SIGUSR2', () => { ${fault} })`
    const top = start('', { env: { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(preload)}` } })
    await top.shows(/SESSION/)

    await top.signal('SIGUSR2')

    expect(await top.ended()).toBe(1)
    expect(top.out.indexOf('the test broke it')).toBeGreaterThan(top.out.indexOf(RESTORED))
    expect(top.out.indexOf(RESTORED)).toBeGreaterThan(0)
    expect(await top.modesAfterwards()).toBe(COOKED)
  })

  it('gives the terminal back to the shell while it is suspended, and draws again when it is resumed', async () => {
    const shell = startShell()
    shell.type('cwm_top\n')
    await shell.shows(/SESSION/)

    shell.type('\u001a')
    await shell.shows(/Stopped/)
    const stopped = shell.out.length
    shell.type('stty -a | grep -oE -- "-?\\b(icanon|echo)\\b" | xargs echo MODES"="\n')
    await shell.shows(/MODES= icanon echo/, stopped)
    expect(shell.out.lastIndexOf(RESTORED)).toBeGreaterThan(shell.out.lastIndexOf(ENTERED))
    shell.type('fg\n')

    await shell.shows(/SESSION/, stopped)
    expect(shell.out.lastIndexOf(ENTERED)).toBeGreaterThan(stopped)
    shell.type('q')
    await shell.shows(/1049l/, stopped)
  })

  it('keeps the terminal at Ctrl-Z if there is no shell to return to', async () => {
    const top = start()
    await top.shows(/SESSION/)
    const before = top.out.length

    top.type('\u001a')

    await top.shows(/1049h[\s\S]*SESSION/, before)
    top.type('q')
    expect(await top.ended()).toBe(0)
  })

  it('ends when its terminal is closed', async () => {
    const top = start()
    await top.shows(/SESSION/)

    await top.close()

    await until('the process is gone', async () => !(await top.isRunning()))
  })

  it('prints lines instead if its output goes to a program, which may stop reading', async () => {
    const top = start('| head -1')

    expect(await top.ended()).toBe(0)
    expect(top.out).toMatch(/\r?\nproxy\t/)
    expect(top.out).not.toMatch(/EPIPE|session\t/)
    expect(top.out).not.toContain(ENTERED)
    expect(await top.modesAfterwards()).toBe(COOKED)
  })

  it('shows the last reading while cwm is away, and the next one when it is back', async () => {
    const forward: RequestListener = (request, response) => {
      void fetch(stack.url + request.url, { headers: { authorization: `Bearer ${apiKey}` } }).then(async (answer) => {
        response.writeHead(answer.status, { 'x-cwm-request-id': 'x' }).end(await answer.text())
      })
    }
    const proxy = createServer(forward).listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    const { port } = proxy.address() as AddressInfo
    const top = start('--interval 0.5', { url: `http://127.0.0.1:${port}` })
    await top.shows(/carol/)
    const before = top.out.length

    proxy.close()
    proxy.closeAllConnections()

    await top.shows(/not current: cannot connect/, before)
    await top.shows(/carol/, before)
    const restarted = createServer(forward).listen(port, '127.0.0.1')
    await once(restarted, 'listening')
    await until('the failure is no longer shown', () => !screenOf(top)?.includes('not current'))
    expect(top.out.slice(before)).toMatch(/carol/)
    top.type('q')
    expect(await top.ended()).toBe(0)
    restarted.close()
    restarted.closeAllConnections()
  })
})
