// The doctor on prompts that change at midnight: templates with today's date, and gpt-oss.

import { afterEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../src/base/logger.ts'
import { createMetrics } from '../../src/base/metrics.ts'
import { doctorParts } from '../../src/cli/doctor-parts.ts'
import { openEngine } from '../../src/compose/open-engine.ts'
import { settingsSchema } from '../../src/config/schema.ts'
import { type CheckResult, diagnose } from '../../src/doctor/doctor.ts'
import { type Sim, type SimOptions, startSim } from '../../src/sim/index.ts'

let sim: Sim
afterEach(() => sim.close())

/** A day at noon UTC, so that it is the same day almost everywhere. */
const NOW = Date.UTC(2026, 10, 30, 12)

async function checked(options: SimOptions, missing?: string): Promise<CheckResult | undefined> {
  sim = await startSim({ eventFlushMs: 0, ...options })
  if (missing !== undefined) {
    const action = { kind: 'status', status: 404, body: {} } as const
    sim.fault({ server: 'engine', path: missing, times: Infinity, action })
  }
  const settings = settingsSchema.parse({ upstream: sim.engineUrl })
  const engine = openEngine(settings, { metrics: createMetrics(), log: silentLogger, now: Date.now }, 20_000)
  const parts = { ...doctorParts(settings, {}, [{ url: engine.id, engine }]), now: () => NOW }
  try {
    const { checks } = await diagnose(parts, { checkMs: 5_000, allMs: 15_000 })
    return checks.find(({ id }) => id === 'prompt-date')
  } finally {
    await engine.close()
  }
}

describe('a template', () => {
  it.each(['Today Date: 30 Nov 2026', 'Current date: 2026-11-30', 'It is November 30, 2026.'])(
    'that writes “%s” makes windows cold at midnight',
    async (preamble) => {
      const check = await checked({ preamble })

      expect(check?.verdict).toBe('warning')
      expect(check?.evidence).toMatch(/^the prompt of a first message contains the date “.*2026.*”: after midnight/)
      expect(check?.remedy).toContain('--default-chat-template-kwargs')
    },
  )

  it.each(['', 'Today Date: 26 Jul 2024'])('that writes “%s” does not', async (preamble) => {
    expect(await checked({ preamble })).toMatchObject({ verdict: 'ok' })
  })
})

describe('gpt-oss', () => {
  const gptOss = { model: 'assistant', root: 'openai/gpt-oss-20b' }

  it('needs VLLM_SYSTEM_START_DATE, which an engine without render endpoints does not show', async () => {
    const check = await checked(gptOss)

    expect(check?.verdict).toBe('warning')
    expect(check?.evidence).toContain('Without VLLM_SYSTEM_START_DATE windows are cold after midnight')
    expect(check?.remedy).toContain('start vLLM with VLLM_SYSTEM_START_DATE=YYYY-MM-DD')
  })

  it('is examined where the engine renders its prompts', async () => {
    const scaleOut = { ...gptOss, scaleOut: true }
    const today = await checked({ ...scaleOut, preamble: 'Current date: 2026-11-30' })
    await sim.close()
    const fixed = await checked({ ...scaleOut, preamble: 'Current date: 2026-01-01' })

    expect(today).toMatchObject({ verdict: 'warning', remedy: expect.stringContaining('VLLM_SYSTEM_START_DATE') })
    expect(fixed).toMatchObject({ verdict: 'ok' })
  })
})

it('is skipped if the engine shows no prompt', async () => {
  expect(await checked({}, '/detokenize')).toMatchObject({ verdict: 'skipped' })
})
