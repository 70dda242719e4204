// Runs the examples unchanged on the simulator.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import { examples, examplesLeftOut, runExample, sparedIn } from '../support/examples.ts'
import { type Stack, startStack } from '../support/stack.ts'

const leftOut = await examplesLeftOut()

/** Two runs of a program, one after the other. */
const TWO_RUNS_MS = 120_000

describe('an example', { timeout: TWO_RUNS_MS }, () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack()
  })
  afterAll(() => stack.close())

  for (const example of examples) {
    it.skipIf(leftOut.has(example.name))(`${example.name} continues from its window, in a second run too`, async () => {
      const env = { CWM_URL: stack.url, MODEL: 'sim-model' }
      await runExample(example, env)
      const output = await runExample(example, env)
      const spared = sparedIn(output)

      expect(spared).toHaveLength(example.name === 'long-document.sh' ? 3 : 1)
      for (const [cached, prompt] of spared) expect(cached / prompt).toBeGreaterThan(0.8)
    })
  }
})

it('examples/tenants.mjs shares nothing between its customers', async () => {
  const keys = { KEY_A: 'sk-customer-a-0123', KEY_B: 'sk-customer-b-0123' }
  const tenants = Object.entries(keys).map(([id, key]) => ({
    id: id.toLowerCase(),
    keys: [{ name: 'main', sha256: keyHash(key) }],
  }))
  const stack = await startStack({ settings: { tenants } })
  const [first] = examples
  if (first === undefined) throw new Error('no example')
  const command = [process.execPath, 'examples/tenants.mjs'] as const
  const output = await runExample({ ...first, command }, { CWM_URL: stack.url, MODEL: 'sim-model', ...keys })
  await stack.close()

  expect(output).toMatch(/customer a, turn 1: 0 of \d+/)
  expect(output).toMatch(/customer a, turn 2: [1-9]\d+ of \d+/)
  expect(output).toMatch(/customer a sees 1 session/)
  expect(output).toMatch(/customer b, turn 1: 0 of \d+/)
  expect(output).toMatch(/customer b sees 1 session/)
})

it('examples/recursive.py asks the windows that its model names, and stops at the answer', async () => {
  const stack = await startStack()
  const run = () =>
    runExample(
      { name: 'recursive.py', command: ['python3', 'examples/recursive.py'] },
      { CWM_URL: stack.url, MODEL: 'sim-model' },
    )
  // Freezing the windows takes replies as well.
  await run()
  const before = stack.sim.requests.all('engine').length
  for (const content of [
    'ASK ferry-oslo: When does it leave?\nASK nowhere: What is it?',
    'At seven.',
    'ANSWER: the ferry from Oslo',
  ]) {
    stack.sim.script({ content })
  }
  const output = await run()
  const bodies = stack.sim.requests
    .all('engine')
    .slice(before)
    .filter(({ path }) => path === '/v1/chat/completions')
    .map(({ body }) => JSON.parse(body.toString()) as { messages: { content: string }[] })
  await stack.close()

  expect(output).toMatch(/^the ferry from Oslo\n\d+ of \d+ tokens/)
  expect(bodies).toHaveLength(3)
  expect(bodies[1]?.messages.at(-1)?.content).toContain('When does it leave?')
  expect(bodies[2]?.messages.at(-1)?.content).toBe('ferry-oslo: At seven.')
})
