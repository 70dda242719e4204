// The commands that call a running cwm, as processes: output for people and for programs, and errors.

import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { WindowJson } from '../../src/wire/windows.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { type CliOptions, CliProcess, type CliResult } from '../support/cli-process.ts'
import { chat, user } from '../support/conversation.ts'
import { frozenSession, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

let built: BuiltCwm
let stack: Stack
let folder: string

beforeAll(async () => {
  ;[built, stack, folder] = await Promise.all([buildCwm(), startStack(), mkdtemp(join(tmpdir(), 'cwm-cli-'))])
  await frozenSession(stack.url, { session: 'ann', window: 'first' })
})

afterAll(async () => {
  await stack.close()
  await built.dispose()
  await rm(folder, { recursive: true, force: true })
})

function cwm(words: string, options: CliOptions = {}): Promise<CliResult> {
  const env = { CWM_URL: stack.url, ...options.env }
  return new CliProcess(built, words.split(' '), { cwd: folder, input: '', ...options, env }).result()
}

/** Output on a terminal: aligned columns, colors. Uses `script` of util-linux. */
const coloured = { FORCE_COLOR: '1' }

describe('cwm windows', () => {
  it('lists for programs: one window per line, tab-separated full values, no header', async () => {
    const { out, err, ended } = await cwm('windows list --search first')

    const cells = out.trimEnd().split('\t')
    expect(cells.slice(0, 2)).toEqual(['first', 'frozen'])
    expect(cells.at(-1)).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
    expect({ err, ended }).toEqual({ err: '', ended: 0 })
  })

  it('prints the response of REST with --json', async () => {
    const { out } = await cwm('windows show first --json')

    expect(JSON.parse(out)).toEqual(await rest<WindowJson>(stack.url, 'GET', '/windows/first'))
  })

  it('shows a window for people, without colors unless on a terminal', async () => {
    const { out, ended } = await cwm('windows show first')

    expect(out).toMatch(/^window +first\nstate +frozen\n/)
    expect(out).toMatch(/\nstored +l2 \(behind memory: survives a restart of engine and LMCache\)\n/)
    expect(out).not.toContain('\u001b')
    expect(ended).toBe(0)
  })

  it.each([
    [{ FORCE_COLOR: '1' }, true],
    [{ FORCE_COLOR: '1', NO_COLOR: '1' }, false],
    [{ FORCE_COLOR: '0' }, false],
  ])('has colors by %j: %s', async (env, wanted) => {
    expect((await cwm('windows show first', { env })).out.includes('\u001b[')).toBe(wanted)
  })

  it('freezes, clones, thaws, and deletes, with receipts', async () => {
    const frozen = await cwm('windows freeze by-hand --session ann --tag law --tag old --note kept')
    const shown = JSON.parse((await cwm('windows show by-hand --json')).out) as WindowJson & {
      tags: string[]
      note: string
    }
    const cloned = await cwm('windows clone by-hand branch --at 2')
    const thawed = await cwm('windows thaw branch --session eve')
    const session = await cwm('sessions show eve')
    const kept = await cwm('windows delete branch --yes --wait')
    const ended = await cwm('sessions end eve --yes --wait')

    expect(frozen.out).toMatch(/^frozen by-hand: [\d,]+ tokens, [\d,]+ restorable, pinned, in /)
    expect(shown).toMatchObject({ tags: ['law', 'old'], note: 'kept' })
    expect(cloned.out).toMatch(/^frozen branch: /)
    expect(thawed.out).toMatch(
      /^thawed branch into session eve: [\d,]+ of [\d,]+ tokens restored \(\d+%\), \d+ computed, in /,
    )
    expect(session.out).toMatch(/\nwindow +branch\n/)
    expect(kept.out).toMatch(/^deleted branch: 0 chunks deleted, 0 left, \d+ kept for a live session/)
    expect(kept.out).toMatch(
      /\n1 session based on it \(eve\) continues, and its text stays until the last one ends \(delete \S+\)\n/,
    )
    expect(ended.out).toMatch(/^ended eve: /)
  })

  it('deletes a window with its sessions by --end-sessions', async () => {
    await cwm('windows clone first brief --at 2')
    await cwm('windows thaw brief --session joe')

    const deleted = await cwm('windows delete brief --end-sessions --yes')
    const session = await cwm('sessions show joe')

    expect(deleted.out).toMatch(/^deleted brief: /)
    expect(deleted.out).not.toContain('based on it')
    expect(session.err).toMatch(/there is no session joe/)
  })

  it('thaws into a session with turns of its own only with --replace', async () => {
    await chat(stack.url, [user('Hello')], { headers: { 'x-cwm-session': 'busy' } })

    const refused = await cwm('windows thaw first --session busy')
    const replaced = await cwm('windows thaw first --session busy --replace')

    expect(refused).toMatchObject({ out: '', ended: 1 })
    expect(refused.err).toMatch(/^cwm: session busy would lose its context \(1 turn, \d+ tokens\): .* --replace\)\n$/)
    expect(replaced.out).toMatch(/^thawed first into session busy: /)
  })

  it('with --to l1 loads into memory only, and binds no session', async () => {
    const loaded = await cwm('windows thaw first --to l1')
    const wrong = await cwm('windows thaw first --to l1 --session eve')

    expect(loaded.out).toMatch(/^loaded first: \d+ of \d+ chunks in LMCache's memory, in /)
    expect(wrong).toMatchObject({
      ended: 2,
      err: 'cwm: --session cannot be combined with --to l1, which binds no session\n',
    })
  })

  it('reports why a freeze failed, and exits with 1', async () => {
    const { out, err, ended } = await cwm('windows freeze void --session nobody')

    expect({ out, err, ended }).toEqual({ out: '', err: 'cwm: there is no session nobody\n', ended: 1 })
  })

  it('asks before deleting, and deletes nothing in non-interactive mode without --yes', async () => {
    const { err, ended } = await cwm('windows delete first')

    expect({ err, ended }).toEqual({
      err: 'cwm: this is permanent. Pass --yes to confirm in non-interactive mode\n',
      ended: 2,
    })
    expect((await rest<WindowJson>(stack.url, 'GET', '/windows/first')).state).toBe('frozen')
  })

  it('exports to a file that only its owner can read, replaces none without --force, and imports it again', async () => {
    const exported = await cwm('windows export first')
    const again = await cwm('windows export first')
    const forced = await cwm('windows export first --force')
    const { mode } = await stat(join(folder, 'first.cwm.json'))
    const imported = await cwm('windows import first.cwm.json --name copied')
    const piped = await cwm('windows export first --output -')
    const through = await cwm('windows import - --name piped', { input: piped.out })

    expect(exported.out).toBe('exported first to first.cwm.json\n')
    expect(again).toMatchObject({ ended: 2, err: 'cwm: first.cwm.json already exists; use --force to replace it\n' })
    expect(forced.ended).toBe(0)
    expect(mode & 0o777).toBe(0o600)
    expect(imported.out).toMatch(/^frozen copied: /)
    expect(piped.out).toBe(await readFile(join(folder, 'first.cwm.json'), 'utf8'))
    expect(through.out).toMatch(/^frozen piped: /)
  })

  it('leaves no partial file if the export is rejected', async () => {
    const { ended } = await cwm('windows export nothing')

    expect(ended).toBe(1)
    await expect(stat(join(folder, 'nothing.cwm.json'))).rejects.toThrow('ENOENT')
  })

  it('reads all pages with --all, and otherwise says how to continue', async () => {
    for (const name of ['p1', 'p2', 'p3']) await rest(stack.url, 'POST', '/windows/first/clone', { name })

    const some = await cwm('windows list --search p --sort name --order asc --limit 2')
    const cursor = /--cursor (\S+)/.exec(some.err)?.[1] ?? ''
    const others = await cwm(`windows list --search p --sort name --order asc --cursor ${cursor}`)
    const names = (text: string) =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t')[0])

    expect(names(some.out)).toHaveLength(2)
    expect([...names(some.out), ...names(others.out)]).toEqual(
      names((await cwm('windows list --all --search p --sort name --order asc')).out),
    )
  })

  it('exits quietly when its reader closes the pipe', async () => {
    const command = new CliProcess(built, ['windows', 'list', '--json'], { env: { CWM_URL: stack.url }, input: '' })
    command.child.stdout?.destroy()

    expect(await command.result()).toMatchObject({ err: '', ended: 0 })
  })
})

describe('a list without a key', () => {
  const whose = (things: string) =>
    `showing ${things} of requests without an API key; to see others, set CWM_API_KEY or --api-key-file\n`

  it.each(['windows', 'sessions'])('says whose %s it shows if there are none', async (things) => {
    const elsewhere = await startStack()
    await frozenSession(elsewhere.url, { headers: { authorization: 'Bearer somebody' } })
    const env = { CWM_URL: elsewhere.url }

    const without = await cwm(`${things} list`, { env })
    const asJson = await cwm(`${things} list --json`, { env })
    const withKey = await cwm(`${things} list`, { env: { ...env, CWM_API_KEY: 'nobody' } })
    await elsewhere.close()

    expect(without).toMatchObject({ out: '', err: `${whose(things)}no ${things}\n`, ended: 0 })
    expect(asJson).toMatchObject({ err: '', ended: 0 })
    expect(withKey.err).toBe(`no ${things}\n`)
  })
})

describe('cwm sessions', () => {
  it('lists how full each is', async () => {
    const { out } = await cwm('sessions list')

    const line = out.split('\n').find((one) => one.startsWith('ann\t'))
    expect(line).toMatch(/^ann\t1\t\d+\t8192\t\d+%\t/)
  })
})

describe('a reader that closes the pipe', () => {
  it.each(['demo', 'key', 'serve --help', 'windows list', 'windows show first', 'sessions list'])(
    'ends cwm %s quietly',
    async (words) => {
      const command = new CliProcess(built, words.split(' '), { env: { CWM_URL: stack.url }, input: '' })
      command.child.stdout?.destroy()

      const { err, ended } = await command.result(30_000)

      expect(err).not.toMatch(/EPIPE|^\s+at /m)
      expect(ended).toBe(0)
    },
  )
})

describe('a server that is not cwm', () => {
  const answers: [what: string, status: number, type: string, body: string][] = [
    ['a page', 404, 'text/html', '<h1>Not Found</h1>'],
    ['an engine', 404, 'application/json', '{"detail":"Not Found"}'],
    ['an API with errors like ours', 401, 'application/json', '{"error":{"message":"no","code":"invalid_api_key"}}'],
    ['a page for every path', 200, 'text/html', '<h1>Hello</h1>'],
    ['JSON for every path', 200, 'application/json', '{"status":"ok"}'],
  ]
  const commands = [
    'windows list',
    'windows show x',
    'windows freeze x --session s',
    'windows thaw x',
    'windows clone x y',
    'windows delete x --yes',
    'windows export x --output -',
    'sessions list',
    'sessions show x',
    'sessions end x --yes',
    'chat',
  ]

  it.each(answers)(
    'is reported, with exit code 3: %s',
    async (_, status, type, body) => {
      const other = createServer((_request, response) => {
        response.writeHead(status, { 'content-type': type }).end(body)
      }).listen(0, '127.0.0.1')
      await once(other, 'listening')
      const { port } = other.address() as AddressInfo
      const env = { CWM_URL: `http://127.0.0.1:${port}` }

      const asked = status === 200 ? commands : commands.slice(0, 1)
      const ends: CliResult[] = []
      // Sequentially, because each is a process.
      for (const words of asked) ends.push(await cwm(words, { env }))
      other.close()

      for (const [index, { out, err, ended }] of ends.entries()) {
        expect([asked[index], ended, out]).toEqual([asked[index], 3, ''])
        expect(err).toContain(`the server at ${env.CWM_URL} is not cwm (HTTP ${status})`)
      }
    },
    60_000,
  )
})

describe('a command that fails', () => {
  it('explains how to start cwm if nothing answers, and exits with 3', async () => {
    const { err, ended } = await cwm('windows list', { env: { CWM_URL: 'http://127.0.0.1:9' } })

    expect(err).toMatch(
      /^cwm: cannot connect to http:\/\/127\.0\.0\.1:9 \(.+\)\nstart it with: cwm serve --upstream URL; if it runs elsewhere, set --url or CWM_URL\n$/,
    )
    expect(ended).toBe(3)
  })

  it('reports the same as JSON with --json', async () => {
    const { err, ended } = await cwm('windows list --json', { env: { CWM_URL: 'http://127.0.0.1:9' } })
    const refused = await cwm('windows show nothing --json')

    expect(JSON.parse(err)).toMatchObject({ error: { code: 'unreachable', param: null } })
    expect(ended).toBe(3)
    expect(JSON.parse(refused.err)).toMatchObject({ error: { code: 'window_not_found', param: 'name' } })
  })

  it('names the variable of the key if one is needed, and reads the key from variable or file', async () => {
    const tenants = [
      {
        id: 'acme',
        keys: [{ name: 'main', sha256: '3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0' }],
      },
    ]
    const guarded = await startStack({ settings: { tenants } as never })
    await writeFile(join(folder, 'key'), 'token\n')
    const env = { CWM_URL: guarded.url }

    const without = await cwm('windows list', { env })
    const byFile = await cwm('windows list --api-key-file key', { env })
    const byVariable = await cwm('windows list', { env: { ...env, CWM_API_KEY: 'token' } })
    await guarded.close()

    expect(without).toMatchObject({ ended: 1, out: '' })
    expect(without.err).toMatch(/set CWM_API_KEY or --api-key-file\n$/)
    expect(byFile).toMatchObject({ ended: 0, err: 'no windows\n' })
    expect(byVariable).toMatchObject({ ended: 0, err: 'no windows\n' })
  })

  it.each([
    ['windows lst', /unknown command 'lst'\n\(Did you mean list\?\)\nsee cwm windows --help/],
    ['windows list --limit none', /It must be a whole number, 1 or more\.\nsee cwm windows list --help/],
    ['windows freeze x', /required option '--session <id>' not specified/],
    ['windows list --url nonsense', /--url \(or CWM_URL\) must be a URL like/],
    ['windows list --api-key-file nowhere', /cannot read the key file nowhere: ENOENT/],
    ['windows import nowhere', /cannot read nowhere: ENOENT/],
    ['chat --json', /chat does not support --json/],
    ['key bad/name', /the name of a key must be 1 to 64 letters, digits, or ._-, and begin with a letter or digit/],
    // One error, one line.
    ['serve --upstream 127.0.0.1:8000', /^cwm: invalid settings:\n {2}upstream: must begin with .*\n$/],
    ['serve --upstream nonsense', /^cwm: invalid settings:\n {2}upstream: must begin with .*\n$/],
    ['doctor --upstream http://', /^cwm: invalid settings:\n {2}upstream: .*\n$/],
    ['serve --config nowhere', /the settings file nowhere cannot be read/],
  ])('reports the error and exits with 2: %s', async (words, fault) => {
    const { out, err, ended } = await cwm(words, { env: coloured })

    expect(err).toMatch(fault)
    expect({ out, ended }).toEqual({ out: '', ended: 2 })
  })
})
