// The program of docs/java.md, on the JDK's own HTTP client, which offers an upgrade to HTTP/2 with each request.

import { execFileSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { prose } from '../support/conversation.ts'
import { blockOf } from './support/docs.ts'
import { AgentHome, type Ran } from './support/home.ts'
import { type AgentStack, key, startAgentStack } from './support/stack.ts'
import { expectWarmSecond } from './support/warm.ts'

const INSTALL = 'apt-get install default-jdk-headless'

/** On CI it must be there: what needs it then fails instead. */
function javaIsMissing(): boolean {
  if (process.env.CI === 'true') return false
  try {
    execFileSync('javac', ['-version'], { stdio: 'ignore' })
    return false
  } catch {
    console.warn(`test/agents/java.test.ts is skipped: ${INSTALL}`)
    return true
  }
}

interface Completion {
  readonly choices: readonly { readonly message: { readonly content: string } }[]
}

interface Event {
  readonly choices: readonly { readonly delta: { readonly content?: string | null } }[]
}

function replyIn(output: string, stream: boolean): string {
  if (!stream) return (JSON.parse(output) as Completion).choices[0]?.message.content ?? ''
  const data = output.split('\n').flatMap((line) => (line.startsWith('data: ') ? [line.slice('data: '.length)] : []))
  expect(data.pop()).toBe('[DONE]')
  return data.map((event) => (JSON.parse(event) as Event).choices[0]?.delta.content ?? '').join('')
}

describe.skipIf(javaIsMissing())('the client of the JDK', () => {
  let stack: AgentStack
  let home: AgentHome
  beforeEach(async () => {
    ;[stack, home] = await Promise.all([startAgentStack(), AgentHome.create()])
    await home.write('work/Ask.java', blockOf('java.md', 'java', 'class Ask', stack))
    await home.run('javac', ['Ask.java'])
  })
  afterEach(async () => {
    await stack.close()
    await home.dispose()
  })

  it.each([
    ['whole answers', false],
    ['streams', true],
  ])('goes on in a second process, warm, with %s', async (_, stream) => {
    const run = (messages: readonly object[]): Promise<Ran> => {
      const input = JSON.stringify({ model: stack.model, max_tokens: 64, stream, messages })
      return home.run('java', ['Ask', `${stack.url}/v1`], { input, env: { CWM_API_KEY: key } })
    }
    const question = { role: 'user', content: `${prose(900)}. The buoy is called Lomvi.` }
    let reply = ''

    await expectWarmSecond(
      stack,
      async () => {
        reply = replyIn((await run([question])).out, stream)
      },
      async () => {
        const said = { role: 'assistant', content: reply }
        const { out } = await run([question, said, { role: 'user', content: 'What is the buoy called?' }])
        return { out: replyIn(out, stream) }
      },
    )
  })
})
