// Log lines as they leave the process. The logger writes to standard error, so each test runs a process.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { within } from '../../test/support/deadline.ts'
import { createLogger, type RequestFields } from './logger.ts'

// A folder in which imports resolve and which no tool scans for sources.
const compiled = new URL(`../../node_modules/.cwm-logger-${process.pid}/`, import.meta.url)

beforeAll(async () => {
  await mkdir(compiled)
  for (const name of ['logger', 'log-stream']) {
    const source = await readFile(new URL(`./${name}.ts`, import.meta.url), 'utf8')
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: {
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2023,
        rewriteRelativeImportExtensions: true,
      },
    })
    await writeFile(new URL(`${name}.js`, compiled), outputText)
  }
})
afterAll(() => rm(compiled, { recursive: true }))

/** Runs the script in a process that can create loggers. */
const codeOf = (script: string) =>
  `import { createLogger } from ${JSON.stringify(new URL('logger.js', compiled).href)}; ${script}`

const parsed = (text: string): Record<string, unknown>[] =>
  text
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

function lines(script: string): Promise<Record<string, unknown>[]> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['--input-type=module', '-e', codeOf(script)], (error, _, stderr) => {
      if (error !== null) reject(error)
      else resolve(parsed(stderr))
    })
  })
}

describe('createLogger', () => {
  it('logs no prompt, salt or credential, at the top of a line or one level below', async () => {
    const [line] = await lines(`
      const secrets = { authorization: 'S', 'x-api-key': 'S', cache_salt: 'S', salt: 'S', apiKey: 'S', secret: 'S', body: 'S', prompt: 'S', messages: ['S'] }
      createLogger('info').info({ ...secrets, turn: { ...secrets, ok: 1 }, session: 'x' }, 'words')`)

    expect(line).toMatchObject({ msg: 'words', session: 'x', turn: { ok: 1 } })
    expect(JSON.stringify(line)).not.toContain('"S"')
  })

  it('writes a request like any other line, without fields that have no value', async () => {
    const [line, warned] = await lines(`
      const fields = { request: 'a"b\\u2028', method: 'POST', route: '/v1/x', status: 200, ms: 1.5, tenant: undefined, model: 'm\\n' }
      for (const level of ['info', 'warn']) createLogger(level).request(fields)
      createLogger('warn').warn({}, 'after')`)

    expect(line).toEqual({
      ...{ level: 'info', time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/), msg: 'request' },
      ...{ request: 'a"b\u2028', method: 'POST', route: '/v1/x', status: 200, ms: 1.5, model: 'm\n' },
    })
    expect(warned?.msg).toBe('after')
  })

  it("writes an error's code, message and cause, and none of its properties", async () => {
    const [line] = await lines(`
      const cause = Object.assign(new Error('inner'), { code: 'ECONNREFUSED', headers: { authorization: 'S' } })
      const err = Object.assign(new Error('outer', { cause }), { code: 'BUSY', body: 'S' })
      createLogger('info').error({ err }, 'failed')`)

    expect(line?.err).toEqual({
      code: 'BUSY',
      message: expect.stringContaining('outer'),
      cause: { code: 'ECONNREFUSED', message: 'inner' },
    })
    expect(JSON.stringify(line)).not.toContain('"S"')
  })

  it('follows a change of its level, for requests too', () => {
    const written: string[] = []
    const log = createLogger('info', { write: (line: string) => void written.push(line) })
    const request = () => log.request({ request: 'r', method: 'GET', route: '/', status: 200, ms: 1 } as RequestFields)
    const both = () => {
      log.info('x')
      request()
      return written.splice(0).length
    }

    expect(both()).toBe(2)
    log.setLevel('warn')
    expect(both()).toBe(0)
    log.setLevel('debug')
    expect(both()).toBe(2)
  })

  it('writes nothing below its level, and nothing at all when silent', async () => {
    const script = (level: string) =>
      `const log = createLogger('${level}'); log.debug({}, 'd'); log.info({}, 'i'); log.warn({}, 'w'); log.error({}, 'e')`

    expect((await lines(script('warn'))).map(({ msg }) => msg)).toEqual(['w', 'e'])
    expect(await lines(script('silent'))).toEqual([])
  })
})

describe('standard error', () => {
  const run = (script: string, stderr: 'pipe' | number) =>
    spawn(process.execPath, ['--input-type=module', '-e', codeOf(script)], { stdio: ['pipe', 'inherit', stderr] })
  const ended = async (child: ChildProcess) => {
    const [code, signal] = await within('the process ends', once(child, 'close'))
    return code ?? signal
  }

  it('without a reader does not keep the process from exiting', async () => {
    // Lines logged just before the exit are written as the process exits.
    const child = run(
      `const log = createLogger('info'); process.stdin.once('data', () => { log.info({}, 'late'); process.exit(7) })`,
      'pipe',
    )
    child.stderr?.destroy()
    child.stdin?.write('go')

    expect(await ended(child)).toBe(7)
  })

  it.skipIf(!existsSync('/dev/full'))('on a full disk loses lines, and nothing else', async () => {
    const full = openSync('/dev/full', 'w')
    const child = run(
      `const log = createLogger('info'); log.info({}, 'x'.repeat(20_000)); setTimeout(() => { log.info({}, 'y'); process.exit(7) }, 200)`,
      full,
    )

    expect(await ended(child)).toBe(7)
    closeSync(full)
  })

  it('that accepts less than is logged gets the buffered lines, and the number of lost ones', async () => {
    const child = run(
      `const log = createLogger('info'); for (let n = 0; n < 2_000; n++) log.info({ n }, 'x'.repeat(10_000)); setImmediate(() => process.exit(0))`,
      'pipe',
    )
    let text = ''
    child.stderr?.setEncoding('utf8')
    child.stderr?.on('data', (chunk: string) => {
      text += chunk
    })
    expect(await ended(child)).toBe(0)

    const all = parsed(text)
    const told = all.find(({ msg }) => String(msg).startsWith('log lines are lost'))
    expect(all.length - 1 + Number(told?.lines)).toBe(2_000)
    expect(all.length).toBeGreaterThan(700)
    expect(all.length).toBeLessThan(900)
  })
})
