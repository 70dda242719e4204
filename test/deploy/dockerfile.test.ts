// The steps of the Dockerfile, run in a clean folder without a container engine: what it copies is enough to build cwm, and what it leaves is
// enough to run it.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { startSim } from '../../src/sim/index.ts'
import { within } from '../support/deadline.ts'
import { root } from '../support/deploy-tools.ts'
import { unknownVariablesIn } from '../support/named-settings.ts'
import { freePort } from '../support/raw-upstream.ts'

const text = (await readFile(join(root, 'Dockerfile'), 'utf8')).replaceAll('\\\n', ' ')
const [build = '', final = ''] = text.split(/^FROM .*$/m).slice(1)
const instructions = (stage: string, name: string) =>
  [...stage.matchAll(new RegExp(`^${name} +(.*)$`, 'gm'))].map(([, words = '']) => words.trim())
const list = (words: string | undefined) => z.array(z.string()).parse(JSON.parse(words ?? ''))

/** Both stages as folders. `/app` is the folder of the stage. */
class Stages {
  readonly build: string
  readonly final: string

  constructor(folder: string) {
    this.build = join(folder, 'build')
    this.final = join(folder, 'final')
  }

  /** Without the network: npm takes the packages from its cache, where `npm ci` of this repository has put them. */
  async run(): Promise<void> {
    await Promise.all([mkdir(this.build), mkdir(this.final)])
    const env = {
      PATH: process.env.PATH,
      HOME: homedir(),
      npm_config_offline: 'true',
      npm_config_audit: 'false',
    }
    for (const [, name, words = ''] of build.matchAll(/^(COPY|RUN) +(.*)$/gm)) {
      if (name === 'COPY') await copy(words, root, this.build)
      else await promisify(execFile)('sh', ['-c', words], { cwd: this.build, env })
    }
    for (const words of instructions(final, 'COPY')) await copy(words, this.build, this.final)
  }
}

async function copy(words: string, from: string, to: string): Promise<void> {
  const paths = words.split(/ +/).filter((word) => !word.startsWith('--'))
  const target = paths.pop() ?? ''
  for (const path of paths.map((one) => one.replace(/^\/app\//, ''))) {
    const name = paths.length > 1 || target === './' ? path : target
    await cp(join(from, path), join(to, name), { recursive: true, verbatimSymlinks: true })
  }
}

describe('the Dockerfile', { timeout: 240_000 }, () => {
  let folder: string
  let stages: Stages
  let isCached = true
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cwm-dockerfile-'))
    stages = new Stages(folder)
    await stages.run().catch((error: unknown) => {
      if (process.env.CI === 'true' || !String(error).includes('ENOTCACHED')) throw error
      isCached = false
      console.warn("the Dockerfile's steps are skipped: npm ci fills npm's cache")
    })
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('makes a cwm that starts, answers its health check, has its pages, and stops', async ({ skip }) => {
    skip(!isCached)
    const sim = await startSim()
    const port = await freePort()
    const own = Object.fromEntries(
      instructions(final, 'ENV').flatMap((words) => words.split(/ +/).map((pair) => pair.split('=', 2))),
    )
    const env = {
      ...{ PATH: process.env.PATH, ...own, CWM_PORT: String(port), CWM_DATA_DIR: join(folder, 'data') },
      ...{ CWM_ANY_KEY: 'true', CWM_UPSTREAM: sim.engineUrl },
    }
    const [program = '', ...words] = [instructions(final, 'ENTRYPOINT'), instructions(final, 'CMD')].flatMap(([one]) =>
      list(one),
    )
    const cwm = spawn(program, words, { cwd: stages.final, env, stdio: ['ignore', 'ignore', 'pipe'] })
    await within('cwm is ready', readyLine(cwm.stderr))
    const [, command] = /CMD (\[.*\])/.exec(instructions(final, 'HEALTHCHECK')[0] ?? '') ?? []
    const [probe = '', ...rest] = list(command)
    const health = await promisify(execFile)(probe, rest, { cwd: stages.final, env })
    const pages = ['/cwm/ui/login', '/cwm/docs/', '/cwm/docs/configuration'].map((path) =>
      fetch(`http://127.0.0.1:${port}${path}`).then(({ status }) => status),
    )
    const statuses = await within('its pages are answered', Promise.all(pages))
    cwm.kill('SIGTERM')
    const [code] = (await within('cwm stops', once(cwm, 'exit'))) as [number | null]
    await sim.close()

    expect(health.stdout).toBe('')
    expect(statuses).toEqual([200, 200, 200])
    expect(code).toBe(0)
  })

  it('names variables that are settings', () => {
    expect(unknownVariablesIn(text.replaceAll(/^#.*$/gm, ''))).toEqual([])
  })
})

async function readyLine(stderr: AsyncIterable<Buffer>): Promise<void> {
  let said = ''
  for await (const bytes of stderr) {
    said += bytes.toString('utf8')
    if (said.includes('"ready"')) return
  }
  throw new Error(`cwm ended: ${said}`)
}
