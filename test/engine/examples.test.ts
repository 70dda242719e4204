// Runs the examples unchanged on the real engine. What they restore may come from the engine's own cache; thaw.test.ts shows restores from
// behind memory.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { examples, examplesLeftOut, runExample, sparedIn } from '../support/examples.ts'
import { MODEL, measured } from './support/conversations.ts'
import { type Cwm, KEY, startCwm } from './support/cwm.ts'

let cwm: Cwm
beforeAll(async () => {
  cwm = await startCwm()
})
afterAll(() => cwm.dispose())

const leftOut = await examplesLeftOut()
for (const example of examples) {
  it.skipIf(leftOut.has(example.name))(`${example.name} continues from its window`, async () => {
    const output = await runExample(example, { CWM_URL: cwm.url, MODEL, CWM_API_KEY: KEY })
    const spared = sparedIn(output)

    measured(example.name, { spared: JSON.stringify(spared) })
    expect(spared.length).toBeGreaterThan(0)
    for (const [cached, prompt] of spared) expect(cached / prompt).toBeGreaterThan(0.7)
  })
}
