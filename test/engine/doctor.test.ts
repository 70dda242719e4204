// The doctor with the real engine, started correctly: every check passes, in time, and leaves nothing behind.

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { CliProcess } from '../support/cli-process.ts'
import { coordinatorUrl, engineUrl } from './support/stack.ts'

interface DiagnosisJson {
  readonly verdict: string
  readonly ms: number
  readonly checks: readonly { readonly id: string; readonly verdict: string; readonly evidence: string }[]
}

let built: BuiltCwm
let folder: string

beforeAll(async () => {
  built = await buildCwm()
  folder = await mkdtemp(join(tmpdir(), 'cwm-doctor-'))
})

afterAll(async () => {
  await built.dispose()
  await rm(folder, { recursive: true, force: true })
})

describe('cwm doctor', () => {
  it('passes every check within a minute, and writes a report without any salt', async () => {
    const report = join(folder, 'report.md')
    const where = ['--upstream', engineUrl, '--coordinator', coordinatorUrl, '--data-dir', join(folder, 'data')]
    const words = ['doctor', ...where, '--reset-engine-cache', '--json', '--report', report]

    const { out, ended } = await new CliProcess(built, words, { input: '' }).result(60_000)

    const { verdict, checks, ms } = JSON.parse(out) as DiagnosisJson
    const not = (wanted: string) => checks.filter((check) => check.verdict !== wanted).map(({ id }) => id)
    console.info(`measured: doctor: ${checks.length} lines in ${ms} ms`)
    // No adapter of this stack evicts by IsolatedLRU, and no cwm has used this folder.
    expect(not('ok')).toEqual(['quotas', 'secret'])
    expect({ verdict, ended }).toEqual({ verdict: 'ok', ended: 0 })
    expect(ms).toBeLessThan(60_000)
    const text = await readFile(report, 'utf8')
    expect(text).toMatch(
      /\| ok \| \*\*KV is restored\*\*: .+ \| after a reset of the engine's cache 512 of 641 tokens cached/,
    )
    expect(text + out).not.toMatch(/cwm-doctor-[0-9a-f]{8}/)
  })
})
