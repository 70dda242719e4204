// `cwm doctor`: examines a deployment with the settings of `cwm serve`. Needs no running cwm, and leaves nothing behind.

import { writeFile } from 'node:fs/promises'
import { CwmError } from '../base/errors.ts'
import { silentLogger } from '../base/logger.ts'
import { createMetrics } from '../base/metrics.ts'
import { version } from '../base/version.ts'
import { openEngine } from '../compose/open-engine.ts'
import { loadSettings } from '../config/load.ts'
import type { Settings } from '../config/schema.ts'
import { firstAddressOf } from '../config/upstreams.ts'
import { type Diagnosis, diagnose } from '../doctor/doctor.ts'
import { formatReport, formatResult, formatSummary, type ReportHead } from '../doctor/report.ts'
import type { DoctorFlags } from './doctor-flags.ts'
import { doctorParts } from './doctor-parts.ts'
import { aborted, stopSignal } from './signals.ts'
import { processScreen } from './terminal/screen.ts'

const WARM_DEADLINE_MS = 20_000
const LIMITS = { checkMs: 20_000, allMs: 55_000 }

/** Exits with 0 if no check failed, otherwise with 1. Throws `CONFIG` for invalid settings. */
export async function runDoctor(
  settingFlags: Readonly<Record<string, unknown>>,
  file: string | undefined,
  flags: DoctorFlags,
): Promise<void> {
  const stop = stopSignal()
  const screen = processScreen()
  const settings = await loadSettings({ flags: settingFlags, environment: process.env, file })
  const watchers = { metrics: createMetrics(), log: silentLogger, now: Date.now }
  const engine = openEngine(settings, watchers, WARM_DEADLINE_MS)
  const show = (line: string) => (flags.json === true ? undefined : screen.print(line))
  for (const [what, address] of Object.entries(addressesOf(settings))) show(screen.style('dim', `${what} ${address}`))
  try {
    const parts = doctorParts(settings, flags, [{ url: firstAddressOf(settings.upstream), engine }])
    const work = diagnose(parts, LIMITS, (result) => formatResult(result, screen.style).forEach(show), stop)
    const diagnosis = await Promise.race([work, aborted(stop)])
    if (diagnosis === undefined) {
      process.exitCode = 130
      return
    }
    await writeReport(settings, flags, diagnosis, screen.print)
    process.exitCode = diagnosis.verdict === 'failed' ? 1 : 0
  } finally {
    await engine.close()
  }
  // Exits even if connections still hang.
  process.exit()
}

async function writeReport(
  settings: Settings,
  { json, report }: DoctorFlags,
  diagnosis: Diagnosis,
  print: (text: string) => void,
): Promise<void> {
  const head: ReportHead = { version, at: new Date().toISOString(), addresses: addressesOf(settings) }
  if (json === true) print(JSON.stringify({ ...head, ...diagnosis }, null, 2))
  else print(formatSummary(diagnosis))
  if (report === undefined) return
  try {
    await writeFile(report, formatReport(head, diagnosis), { mode: 0o600 })
  } catch (cause) {
    throw new CwmError('CONFIG', `cannot write the report ${report}`, { param: 'report', cause })
  }
}

/** Addresses without user, password, and query. */
function addressesOf({ upstream, coordinator, lmcache, store, data_dir }: Settings): Record<string, string> {
  const bare = (text: string) => {
    const url = new URL(text)
    return `${url.protocol}//${url.host}${url.pathname.replace(/\/$/, '')}`
  }
  return {
    upstream: bare(firstAddressOf(upstream)),
    ...(coordinator === undefined ? {} : { coordinator: bare(coordinator) }),
    ...(lmcache === undefined ? {} : { lmcache: bare(lmcache) }),
    store: store === 'sqlite' ? `SQLite in ${data_dir}` : bare(store),
  }
}
