// `cwm serve`: runs until it is told to stop.

import { startApp } from '../app.ts'
import { createLogger } from '../base/logger.ts'
import { loadSettings, unknownVariables } from '../config/load.ts'

export async function runServe(flags: Readonly<Record<string, unknown>>, file: string | undefined): Promise<void> {
  const settings = await loadSettings({ flags, environment: process.env, file })
  const app = await startApp(settings, createLogger(settings.log_level))
  for (const line of app.findings) console.error(line)
  for (const name of unknownVariables(process.env))
    console.error(`warning   ${name} is not a setting of cwm; see cwm serve --help`)
  console.error(`ready     ${app.url}/v1  (point your OpenAI or Anthropic SDK's base URL here)`)
  await untilSignal()
  console.error('stopping: answers under way may end; a second signal stops at once')
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
  await app.close()
}

/** Resolves at the first SIGINT or SIGTERM. */
export function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    const stop = () => {
      process.off('SIGINT', stop)
      process.off('SIGTERM', stop)
      resolve()
    }
    process.on('SIGINT', stop)
    process.on('SIGTERM', stop)
  })
}
