// Windows on an engine with render endpoints. Without them these tests are skipped; test:engine:restart runs them.

import { afterAll, beforeAll, describe } from 'vitest'
import { type Cwm, startCwm } from './support/cwm.ts'
import { describeRenderedWindows } from './support/rendered-windows.ts'
import { rendersPrompts } from './support/stack.ts'

describe.skipIf(!(await rendersPrompts()))('with the render endpoints', () => {
  let cwm: Cwm

  beforeAll(async () => {
    cwm = await startCwm()
  })

  afterAll(() => cwm.dispose())

  describeRenderedWindows(() => cwm)
})
