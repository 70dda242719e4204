// `cwm serve`: runs until it is told to stop, which may happen during startup too.

import { CwmError } from '../base/errors.ts'
import { type App, type StartOptions, startApp } from '../compose/app.ts'
import { loadSettings, unknownVariables } from '../config/load.ts'
import type { Settings } from '../config/schema.ts'
import { exitCodes } from './client/command.ts'
import { type ServeOutput, serveOutput } from './serve-output.ts'
import { aborted, exitOnFault, Hangups, stopSignal } from './signals.ts'

/** Added to the shutdown times in the settings. What has not closed by then never will, and must not block the next process. */
const CLOSE_GRACE_MS = 10_000

export async function runServe(flags: Readonly<Record<string, unknown>>, file: string | undefined): Promise<void> {
  const stop = stopSignal()
  const hangups = new Hangups()
  const load = () => loadSettings({ flags, environment: process.env, file })
  const settings = await load()
  const output = serveOutput(settings)
  exitOnFault(output.log)
  const app = await start(settings, output, { stop, load, setLogLevel: output.setLogLevel })
  if (app === undefined) process.exit()
  output.findings(app.findings)
  for (const name of unknownVariables(process.env)) output.unknownVariable(name)
  output.ready(app.url, settings.dashboard)
  // Failures are logged and counted by the reload itself.
  hangups.handle(() => void app.reload('sighup').catch(() => {}))
  await aborted(stop)
  output.stopping()
  const late = setTimeout(
    () => {
      output.log.error('shutdown did not finish in time; exiting anyway')
      process.exit(1)
    },
    settings.drain_delay_ms + settings.drain_ms + CLOSE_GRACE_MS,
  )
  await app.close()
  clearTimeout(late)
  // Exits even if something lingers.
  process.exit()
}

/** Undefined if cwm was stopped during startup, or could not start, which also sets the exit code. */
async function start(settings: Settings, output: ServeOutput, options: StartOptions): Promise<App | undefined> {
  try {
    return await startApp(settings, output.log, options)
  } catch (thrown) {
    if (!(thrown instanceof CwmError)) throw thrown
    if (thrown.code === 'SHUTTING_DOWN') {
      output.stoppedEarly()
    } else {
      output.failed(thrown)
      process.exitCode = exitCodes.refused
    }
    return undefined
  }
}
