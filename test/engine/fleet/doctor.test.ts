// The doctor on two real engines, listed and behind the real router: every line of the fleet is ok, and nothing is left behind.
// Skipped with one engine only; to run it: PAIR=1 ROUTER=1 npm run engine:up, then npm run test:engine:fleet

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDoctorEngines } from '../../../src/cli/doctor-engines.ts'
import { doctorParts } from '../../../src/cli/doctor-parts.ts'
import { settingsSchema } from '../../../src/config/schema.ts'
import { type Diagnosis, diagnose } from '../../../src/doctor/doctor.ts'
import { coordinatorUrl } from '../support/stack.ts'
import { answers, engineB, engines, routerUrl } from './support/pair.ts'

const LIMITS = { checkMs: 60_000, allMs: 290_000 }

const hasPair = await answers(`${engineB.url}/health`)
const hasRouter = hasPair && (await answers(`${routerUrl}/v1/models`))

let dataDir: string
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'cwm-doctor-'))
})
afterAll(() => rm(dataDir, { recursive: true, force: true }))

async function examine(given: object): Promise<Diagnosis> {
  const settings = settingsSchema.parse({ coordinator: coordinatorUrl, data_dir: dataDir, ...given })
  const opened = await openDoctorEngines(settings)
  try {
    const diagnosis = await diagnose(doctorParts(settings, {}, opened), LIMITS)
    console.info(`measured: doctor: ${diagnosis.checks.length} lines in ${diagnosis.ms} ms`)
    return diagnosis
  } finally {
    await Promise.all(opened.map(({ engine }) => engine.close()))
  }
}

const withoutOk = ({ checks }: Diagnosis) => checks.filter(({ verdict }) => verdict !== 'ok').map(({ id }) => id)
const evidenceOf = ({ checks }: Diagnosis, id: string) => checks.find((check) => check.id === id)?.evidence

describe.skipIf(!hasPair)('cwm doctor on a list of two engines', () => {
  it('proves that both are alike, keep salts apart, and load what the other one has stored', async () => {
    const diagnosis = await examine({
      upstream: engines.map(({ url, instance }) => ({ url, lmcache_instance: instance })),
    })

    expect(withoutOk(diagnosis)).toEqual(['quotas', 'restored', 'secret'])
    expect(evidenceOf(diagnosis, 'fleet-l2')).toBe(
      'each of 2 engines loaded what others stored (512 tokens), and nothing under an unused salt',
    )
    expect(evidenceOf(diagnosis, 'delete')).toMatch(/ chunks deleted, 0 left$/)
  })
})

describe.skipIf(!hasRouter)('cwm doctor before the real router', () => {
  it('sees that sessions stay together and spread with the affinity header, and that salts arrive', async () => {
    const diagnosis = await examine({ upstream: routerUrl, affinity: 'vllm-router' })

    expect(withoutOk(diagnosis)).toEqual(['quotas', 'restored', 'secret'])
    expect(evidenceOf(diagnosis, 'sessions')).toBe('second turns of 12 sessions: 12 found their KV')
    expect(evidenceOf(diagnosis, 'spread')).toMatch(/ at node-[ab], .+ at node-[ab], of 2 servers/)
    expect(evidenceOf(diagnosis, 'delete')).toMatch(/ chunks deleted, 0 left$/)
  })

  it('names the setting that is missing without it', async () => {
    const diagnosis = await examine({ upstream: routerUrl })

    expect(withoutOk(diagnosis)).toEqual(expect.arrayContaining(['router', 'spread']))
    expect(diagnosis.checks.find(({ id }) => id === 'router')?.remedy).toMatch(/^set affinity: vllm-router/)
  })
})
