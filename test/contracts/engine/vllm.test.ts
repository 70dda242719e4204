// vLLM behind the engine port: against the simulator, or with CWM_CONTRACT=engine against the real one.

import { afterAll, beforeAll } from 'vitest'
import { silentLogger } from '../../../src/base/logger.ts'
import { createMetrics } from '../../../src/base/metrics.ts'
import { openEngine } from '../../../src/compose/open-engine.ts'
import { settingsSchema } from '../../../src/config/schema.ts'
import { describeEngineContract, FAILURES } from './engine-contract.ts'
import { openTarget, type Target } from './target.ts'

let target: Target

beforeAll(async () => {
  target = await openTarget()
})

afterAll(() => target?.close())

const watchers = { metrics: createMetrics(), log: silentLogger, now: Date.now }

describeEngineContract('vLLM', () => ({
  url: target.urls.engine,
  model: target.model,
  limit: target.limit,
  open: (upstream) => {
    const settings = { upstream, breaker_failures: FAILURES, breaker_open_ms: 600_000 }
    return openEngine(settingsSchema.parse(settings), watchers, 60_000)
  },
}))
