// Global setup: checks that the engine is running and the proxy is built, and otherwise fails with a one-line message.

import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { coordinatorUrl, engineUrl, lmcacheUrl } from './stack.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const PATIENCE_MS = 5_000

export default async function setup(): Promise<void> {
  const doors = [`${engineUrl}/health`, `${lmcacheUrl}/healthcheck`, `${coordinatorUrl}/healthz`]
  for (const door of doors) {
    const answered = await fetch(door, { signal: AbortSignal.timeout(PATIENCE_MS) }).then(
      (answer) => answer.ok,
      () => false,
    )
    if (!answered)
      throw new Error(`no engine: ${door} does not answer; start it: npm run engine:setup && npm run engine:up`)
  }
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' })
}
