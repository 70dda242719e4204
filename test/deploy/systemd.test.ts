// The unit of systemd, by systemd itself.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { settingsSchema } from '../../src/config/schema.ts'
import { root, run, skipsWithout } from '../support/deploy-tools.ts'
import { namedVariables, unknownVariablesIn } from '../support/named-settings.ts'

const unit = await readFile(join(root, 'deploy/systemd/cwm.service'), 'utf8')

describe('cwm.service', () => {
  let folder: string
  let file: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cwm-unit-'))
    file = join(folder, 'cwm.service')
    // cwm need not be installed where its tests run.
    await writeFile(file, unit.replace('ExecStart=/usr/bin/cwm ', `ExecStart=${process.execPath} `))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it.skipIf(skipsWithout('systemd-analyze'))('is accepted without a warning', async () => {
    const { code, text, errors } = await run('systemd-analyze', 'verify', '--man=no', file)

    expect({ code, text, errors }).toEqual({ code: 0, text: '', errors: '' })
  })

  it.skipIf(skipsWithout('systemd-analyze'))('is rated as well confined', async () => {
    // systemd's rating goes from 0 (confined) to 10 (exposed); below 2.5 it is "OK".
    const { code, text } = await run('systemd-analyze', 'security', '--offline=true', '--threshold=25', file)

    expect(text).toMatch(/Overall exposure level/)
    expect(code).toBe(0)
  })

  it('starts cwm with a command and flags that exist', () => {
    const [, program = '', words = ''] = /^ExecStart=(\S+) (.*)$/m.exec(unit) ?? []
    const [command, ...flags] = words.split(' ')
    const serve = createProgram().commands.find((one) => one.name() === command)

    expect(program).toBe('/usr/bin/cwm')
    expect(serve?.options.map(({ long }) => long)).toEqual(
      expect.arrayContaining(flags.filter((flag) => flag.startsWith('--'))),
    )
  })

  it('names variables that are settings', () => {
    expect(namedVariables(unit)).toContain('CWM_DATA_DIR')
    expect(unknownVariablesIn(unit)).toEqual([])
  })

  it('gives cwm the time to stop that its settings need', () => {
    const { drain_delay_ms: delay, drain_ms: drain } = settingsSchema.parse({ upstream: 'http://127.0.0.1:8000' })
    const seconds = Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])

    expect(seconds).toBeGreaterThan((delay + drain) / 1000 + 10)
  })
})
