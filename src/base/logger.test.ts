// Log lines as they leave the process: the logger writes to standard error, so a process of its own is asked.

import { execFile } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

// Where its imports are found and nobody looks for sources.
const compiled = new URL(`../../node_modules/.cwm-logger-${process.pid}.mjs`, import.meta.url)

beforeAll(async () => {
  const source = await readFile(new URL('./logger.ts', import.meta.url), 'utf8')
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 },
  })
  await writeFile(compiled, outputText)
})
afterAll(() => rm(compiled))

function lines(script: string): Promise<Record<string, unknown>[]> {
  const code = `import { createLogger } from ${JSON.stringify(compiled.href)}; ${script}`
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['--input-type=module', '-e', code], (error, _, stderr) => {
      if (error !== null) reject(error)
      else
        resolve(
          stderr
            .trim()
            .split('\n')
            .filter((line) => line !== '')
            .map((line) => JSON.parse(line) as Record<string, unknown>),
        )
    })
  })
}

describe('createLogger', () => {
  it('lets no prompt, salt or credential out, wherever a mistake would put it', async () => {
    const [line] = await lines(`
      const secrets = { authorization: 'S', 'x-api-key': 'S', cache_salt: 'S', salt: 'S', apiKey: 'S', secret: 'S', body: 'S', prompt: 'S', messages: ['S'] }
      createLogger('info').info({ ...secrets, turn: { ...secrets, ok: 1 }, session: 'x' }, 'words')`)

    expect(line).toMatchObject({ msg: 'words', session: 'x', turn: { ok: 1 } })
    expect(JSON.stringify(line)).not.toContain('"S"')
  })

  it('tells of an error its code, message and cause, and none of its properties', async () => {
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

  it('says no less than its level, and nothing when silent', async () => {
    const script = (level: string) =>
      `const log = createLogger('${level}'); log.debug({}, 'd'); log.info({}, 'i'); log.warn({}, 'w'); log.error({}, 'e')`

    expect((await lines(script('warn'))).map(({ msg }) => msg)).toEqual(['w', 'e'])
    expect(await lines(script('silent'))).toEqual([])
  })
})
