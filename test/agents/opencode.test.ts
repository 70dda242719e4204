// opencode with cwm, as a provider of the AI SDK.

import { afterEach, beforeEach, it } from 'vitest'
import { blockOf } from './support/docs.ts'
import { AgentHome } from './support/home.ts'
import { agentProgram } from './support/install.ts'
import { type AgentStack, key, startAgentStack } from './support/stack.ts'
import { expectWarmSecond } from './support/warm.ts'

let stack: AgentStack
let home: AgentHome
beforeEach(async () => {
  ;[stack, home] = await Promise.all([startAgentStack(), AgentHome.create()])
})
afterEach(async () => {
  await stack.close()
  await home.dispose()
})

const opencode = (...words: string[]) =>
  home.run(agentProgram('opencode'), ['run', ...words], { env: { CWM_API_KEY: key } })

it('goes on in a second process, warm', async () => {
  await home.write('work/opencode.json', blockOf('opencode.md', 'json', 'openai-compatible', stack))

  await expectWarmSecond(
    stack,
    () => opencode('The buoy is called Lomvi.'),
    () => opencode('--continue', 'What is the buoy called?'),
  )
})
