// The benchmark as a user runs it, too short for meaningful figures: that all of them are there, and when it refuses to run.

import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'

const main = fileURLToPath(new URL('../../scripts/bench/main.mjs', import.meta.url))
const BUILD_MS = 240_000
const RUN_MS = 60_000

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function bench(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const options = { timeout: RUN_MS, env: { ...process.env, ...env } }
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

let built: BuiltCwm
let folder: string

beforeAll(async () => {
  built = await buildCwm()
  folder = await mkdtemp(join(tmpdir(), 'cwm-bench-test-'))
}, BUILD_MS)

afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await built.dispose()
})

const ofAll = ['perSecond', 'p50', 'p99']
const ofStreams = ['eventsPerSecond', 'ttftP50', 'ttftP99']
const ofProxies = ['cpu', 'proxyShare']
const shares = ['upstreamShare', 'loadShare']
const proxies = ['bare', 'parse', 'cwm-named', 'cwm-prefix']

// /proc is Linux's.
it.runIf(process.platform === 'linux')(
  'measures every figure of every target, and prints them',
  async () => {
    const json = join(folder, 'bench.json')
    const targets = ['direct', ...proxies]

    const ended = await bench(
      [
        ...['--quick', '--force', '--no-pin', '--seconds', '0.5', '--json', json],
        ...['--only', '4k-32,stream-16', '--targets', targets.join(',')],
      ],
      { BENCH_CWM: built.main },
    )

    expect(ended, ended.stderr).toMatchObject({ code: 0 })
    const { results, fastest, memory, aims, failed, found } = JSON.parse(await readFile(json, 'utf8'))
    for (const scenario of ['4k-32', 'stream-16']) {
      for (const target of targets) {
        const figures = results[scenario][target]
        const wanted = [
          ...ofAll,
          ...shares,
          ...(scenario === 'stream-16' ? ofStreams : []),
          ...(target === 'direct' ? [] : ofProxies),
        ]
        for (const name of wanted) expect(figures[name], `${scenario} ${target} ${name}`).toBeGreaterThan(0)
        expect(figures.rateTo.direct).toBeGreaterThan(0)
        if (target !== 'direct') expect(figures.cpuTo.parse).toBeGreaterThan(0)
      }
      expect(proxies).toContain(fastest[scenario].proxy.target)
      for (const name of shares) expect(fastest[scenario].proxy[name]).toBeGreaterThan(0)
      expect(ended.stdout).toContain(`**${scenario}: `)
    }
    expect(failed).toBe(0)
    expect(
      aims
        .filter(({ value = 0 }: { value?: number }) => value > 0)
        .map(({ title }: { title: string }) => title)
        // It needs a hundred answers, and a busy machine may have fewer in so short a time.
        .filter((title: string) => !title.startsWith('p99')),
    ).toEqual(
      ['cwm-named', 'cwm-prefix'].flatMap((target) => [
        `CPU per request, 4k-32, ${target}, to parse`,
        `CPU per event, stream-16, ${target}, to parse`,
        `requests/s, 4k-32, ${target}, to parse`,
        `memory after the run, ${target}, MB`,
      ]),
    )
    for (const target of proxies) expect(memory[target].peakBytes).toBeGreaterThanOrEqual(memory[target].bytes)
    // Sessions found in another way would be another measurement.
    expect(found['cwm-named'].named).toBeGreaterThan(0)
    expect(found['cwm-prefix'].prefix).toBeGreaterThan(0)
    expect(ended.stdout).toMatch(/\| cwm, by prefix \| \d+/)
    expect(ended.stdout).toContain('| memory after the run, cwm-named, MB | at most 200 |')
  },
  RUN_MS,
)

it.runIf(process.platform === 'linux')(
  'measures what first turns leave on the disk, fewer of them in a quick run',
  async () => {
    const json = join(folder, 'disk.json')
    const own = ['--only', 'disk', '--targets', 'bare,cwm-named,cwm-first']

    const ended = await bench(['--quick', '--force', '--no-pin', ...own, '--json', json], { BENCH_CWM: built.main })

    expect(ended, ended.stderr).toMatchObject({ code: 0 })
    const { disk, failed } = JSON.parse(await readFile(json, 'utf8'))
    expect(disk).toEqual({ 'cwm-first': { turns: 1_000, bytes: expect.any(Number) } })
    // Less would not hold them: each has a key of its own.
    expect(disk['cwm-first'].bytes).toBeGreaterThan(16_000)
    expect(failed).toBe(0)
    expect(ended.stdout).toMatch(/\| cwm, first turn \| 1000 \|/)
  },
  RUN_MS,
)

const slowsFlushes = process.platform === 'linux' && spawnSync('cc', ['--version']).error === undefined
if (!slowsFlushes) console.warn('skipping the test of bench --flush-ms, which needs Linux and a C compiler (cc)')

it.runIf(slowsFlushes)(
  "slows cwm's flushes, says so, and writes to its own place in the page",
  async () => {
    const json = join(folder, 'slow.json')
    const page = join(folder, 'page.md')
    await writeFile(page, '<!-- bench -->as before<!-- /bench -->\n<!-- bench flush -->old<!-- /bench flush -->\n')
    const short = ['--quick', '--force', '--no-pin', '--seconds', '0.3', '--only', '4k-32', '--targets', 'cwm-first']

    const ended = await bench([...short, '--flush-ms', '20', '--json', json, '--markdown', page], {
      BENCH_CWM: built.main,
    })

    expect(ended, ended.stderr).toMatchObject({ code: 0 })
    const { flushes, machine } = JSON.parse(await readFile(json, 'utf8'))
    expect(machine.flushMs).toBe(20)
    expect(flushes['cwm-first']).toBeGreaterThan(0)
    const [before, after] = (await readFile(page, 'utf8')).split('<!-- bench flush -->')
    expect(before).toBe('<!-- bench -->as before<!-- /bench -->\n')
    expect(after).toContain(`20 ms longer (\`--flush-ms\`)**: ${flushes['cwm-first']} of cwm-first.`)
    expect(after).toContain('| p99, 4k-32, cwm-first, to parse |')
    expect(after).not.toContain('old')
  },
  RUN_MS,
)

it("refuses to run while something listens on the engine's port, even if it never answers", async () => {
  const engine = createServer().listen(0, '127.0.0.1')
  await once(engine, 'listening')
  const { port } = engine.address() as AddressInfo

  const ended = await bench(['--quick'], { VLLM_PORT: String(port) })

  engine.close()
  expect(ended).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('npm run engine:down') })
})

it('reports each invalid option in a line', async () => {
  const ended = await bench(['--only', '4k-2', '--rounds', 'many'])

  expect(ended).toMatchObject({ code: 2, stdout: '' })
  expect(ended.stderr.trimEnd().split('\n')).toEqual([
    'bench: --rounds: "many" must be a whole number from 1 to 100',
    'bench: --only: unknown "4k-2"; known: 4k-1, 4k-32, 32k-16, 512k-1, 512k-4, stream-16, paced-64, burst-64, disk',
  ])
})

it.runIf(process.platform === 'linux')('leaves no process and no file behind when it is stopped', async () => {
  const own = join(folder, 'ended')
  await mkdir(own)
  const env = { ...process.env, TMPDIR: own, BENCH_CWM: built.main }
  const short = ['--quick', '--seconds', '0.2', '--rounds', '100', '--only', '4k-32', '--targets', 'direct,cwm-named']
  const child = spawn(process.execPath, [main, '--force', '--no-pin', ...short], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const exit = once(child, 'exit')
  await Promise.race([once(child.stderr, 'data'), exit])
  const running = await commandsWith(own)

  child.kill('SIGTERM')

  expect(await exit).toEqual([143, null])
  expect(running).toHaveLength(1)
  expect(await commandsWith(own)).toEqual([])
  expect(await readdir(own)).toEqual([])
})

/** Command lines of running processes that contain `text`. */
async function commandsWith(text: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const commands = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return commands.filter((command) => command.includes(text))
}
