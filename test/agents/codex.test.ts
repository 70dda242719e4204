// Codex with cwm: through its own provider entry, and through the built-in provider with another base URL.

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

const codex = (...words: string[]) =>
  home.run(agentProgram('codex'), ['exec', ...words], { env: { CWM_API_KEY: key, CODEX_API_KEY: key } })

it.each([
  ['a provider of its own', 'model_provider'],
  ['its built-in provider, which tries a WebSocket first', 'openai_base_url'],
])('goes on in a second process, warm, with %s', async (_, mark) => {
  await home.write('.codex/config.toml', blockOf('codex.md', 'toml', mark, stack))

  await expectWarmSecond(
    stack,
    () => codex('--skip-git-repo-check', 'The buoy is called Lomvi.'),
    () => codex('resume', '--skip-git-repo-check', '--last', 'What is the buoy called?'),
  )
})
