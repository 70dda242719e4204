// `cwm doctor`: examines a deployment with the settings of `cwm serve`. Needs no running cwm, and leaves nothing behind.

import { writeFile } from 'node:fs/promises'
import { CwmError } from '../base/errors.ts'
import { version } from '../base/version.ts'
import { loadSettings } from '../config/load.ts'
import type { Settings } from '../config/schema.ts'
import { enginesOf, firstAddressOf } from '../config/upstreams.ts'
import { type Diagnosis, diagnose } from '../doctor/doctor.ts'
import { formatReport, formatResult, formatSummary, type ReportHead } from '../doctor/report.ts'
import { openDoctorEngines } from './doctor-engines.ts'
import type { DoctorFlags } from './doctor-flags.ts'
import { doctorParts } from './doctor-parts.ts'
import { aborted, stopSignal } from './signals.ts'
import { processScreen } from './terminal/screen.ts'

const LIMITS = { checkMs: 20_000, allMs: 55_000 }
/** More calls, to engines that may share a machine. */
const FLEET_LIMITS = { checkMs: 60_000, allMs: 290_000 }

/** Exits with 0 if no check failed, otherwise with 1. Throws `CONFIG` for invalid settings. */
export async function runDoctor(
  settingFlags: Readonly<Record<string, unknown>>,
  file: string | undefined,
  flags: DoctorFlags,
): Promise<void> {
  const stop = stopSignal()
  const screen = processScreen()
  const settings = await loadSettings({ flags: settingFlags, environment: process.env, file })
  const engines = await openDoctorEngines(settings, stop)
  const show = (line: string) => (flags.json === true ? undefined : screen.print(line))
  for (const [what, address] of Object.entries(addressesOf(settings))) show(screen.style('dim', `${what} ${address}`))
  if (engines.length > 1) show(screen.style('dim', `examines ${engines.map(({ url }) => url).join(', ')}`))
  try {
    const parts = doctorParts(settings, flags, engines)
    const limits = engines.length > 1 || parts.affinity !== undefined ? FLEET_LIMITS : LIMITS
    const work = diagnose(parts, limits, (result) => formatResult(result, screen.style).forEach(show), stop)
    const diagnosis = await Promise.race([work, aborted(stop)])
    if (diagnosis === undefined) {
      process.exitCode = 130
      return
    }
    await writeReport(settings, flags, diagnosis, screen.print)
    process.exitCode = diagnosis.verdict === 'failed' ? 1 : 0
  } finally {
    await Promise.all(engines.map(({ engine }) => engine.close()))
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
    upstream: (enginesOf(upstream)?.map(({ url }) => url) ?? [firstAddressOf(upstream)]).map(bare).join(', '),
    ...(coordinator === undefined ? {} : { coordinator: bare(coordinator) }),
    ...(lmcache === undefined ? {} : { lmcache: bare(lmcache) }),
    store: store === 'sqlite' ? `SQLite in ${data_dir}` : bare(store),
  }
}
