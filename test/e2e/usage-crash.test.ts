// A kill -9 costs the ledger at most what was counted since its last addition, and nothing counts twice.

import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Sim, startSim } from '../../src/sim/index.ts'
import { buildCwm } from '../support/built-cwm.ts'
import { chat, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { type ServeProcess, startServe } from '../support/serve-process.ts'
import { onlyLine, usageOf } from '../support/usage.ts'

let sim: Sim
let cwm: ServeProcess
beforeEach(async () => {
  sim = await startSim()
  cwm = await startServe(await buildCwm(), { upstream: sim.engineUrl })
})
afterEach(async () => {
  await cwm.dispose()
  await sim.close()
})

it('is missing at most its last second after a kill, and nothing after a stop', async () => {
  const url = await cwm.ready()
  const tokens: number[] = []
  for (let n = 0; n < 5; n++) tokens.push((await chat(url, [user(`question ${n}`)])).promptTokens)
  // A report includes everything counted before it, and has stored it.
  await until('five requests are stored', async () => (await usageOf(url)).data[0]?.requests === 5)
  for (let n = 5; n < 8; n++) tokens.push((await chat(url, [user(`question ${n}`)])).promptTokens)

  cwm.kill('SIGKILL')
  await cwm.ended()
  cwm = await startServe(await buildCwm(), { upstream: sim.engineUrl, dataDir: cwm.dataDir })
  const after = await onlyLine(await cwm.ready())

  expect(after.requests).toBeGreaterThanOrEqual(5)
  expect(after.requests).toBeLessThanOrEqual(8)
  const sum = (count: number) => tokens.slice(0, count).reduce((total, each) => total + each, 0)
  expect(after.prompt_tokens).toBe(sum(after.requests))

  await chat(await cwm.ready(), [user('one more')])
  cwm.kill('SIGTERM')
  await cwm.ended()
  cwm = await startServe(await buildCwm(), { upstream: sim.engineUrl, dataDir: cwm.dataDir })
  expect((await onlyLine(await cwm.ready())).requests).toBe(after.requests + 1)
})
