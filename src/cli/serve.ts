// `cwm serve`: runs until it is told to stop, in whichever phase it is.

import { type App, startApp } from '../app.ts'
import { CwmError } from '../base/errors.ts'
import { createLogger, type Logger } from '../base/logger.ts'
import { loadSettings, unknownVariables } from '../config/load.ts'
import type { Settings } from '../config/schema.ts'
import { aborted, exitOnFault, stopSignal } from './signals.ts'

/** Beyond the settings' own times. What has not closed by then never will, and must not keep the next one from starting. */
const CLOSE_GRACE_MS = 10_000

export async function runServe(flags: Readonly<Record<string, unknown>>, file: string | undefined): Promise<void> {
  const stop = stopSignal()
  const settings = await loadSettings({ flags, environment: process.env, file })
  const log = createLogger(settings.log_level)
  exitOnFault(log)
  const app = await start(settings, log, stop)
  if (app === undefined) process.exit()
  for (const line of app.findings) console.error(line)
  for (const name of unknownVariables(process.env))
    console.error(`warning   ${name} is not a setting of cwm; see cwm serve --help`)
  console.error(`ready     ${app.url}/v1  (point your OpenAI or Anthropic SDK's base URL here)`)
  if (settings.dashboard) console.error(`dashboard ${app.url}/cwm/`)
  await aborted(stop)
  console.error('stopping: answers under way may end; a second signal stops at once')
  const late = setTimeout(
    () => {
      log.error('not all is closed in time; cwm ends all the same')
      process.exit(1)
    },
    settings.drain_delay_ms + settings.drain_ms + CLOSE_GRACE_MS,
  )
  await app.close()
  clearTimeout(late)
  // Nothing that lingers may keep it alive.
  process.exit()
}

/** Undefined when cwm was stopped before it was ready. */
async function start(settings: Settings, log: Logger, stop: AbortSignal): Promise<App | undefined> {
  try {
    return await startApp(settings, log, stop)
  } catch (thrown) {
    if (!(thrown instanceof CwmError) || thrown.code !== 'SHUTTING_DOWN') throw thrown
    console.error('stopped before it was ready')
    return undefined
  }
}
