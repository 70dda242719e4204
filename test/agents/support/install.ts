// Installs the coding agents on demand in the user's cache: about 1 GB, in the versions of versions.json.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const PINNED = new URL('../versions.json', import.meta.url)
const INSTALL_MS = 600_000

export const agentVersions = JSON.parse(readFileSync(PINNED, 'utf8')) as Readonly<Record<string, string>>

/** A folder for each set of versions, so that a newer checkout does not disturb an older one. */
const home = join(
  process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
  'cwm-agents',
  createHash('sha256').update(JSON.stringify(agentVersions)).digest('hex').slice(0, 12),
)

/** The program of an installed agent. */
export const agentProgram = (name: 'claude' | 'codex' | 'opencode'): string => join(home, 'node_modules', '.bin', name)

/** Installs what is not installed yet. Their binaries come inside npm packages; nothing else is downloaded. */
export function installAgents(): void {
  const done = join(home, 'installed')
  if (existsSync(done)) return
  rmSync(home, { recursive: true, force: true })
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'package.json'), JSON.stringify({ private: true, dependencies: agentVersions }))
  console.log(`installing the agents of test/agents/versions.json into ${home} (about 1 GB)`)
  const args = ['install', '--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts=false']
  execFileSync('npm', args, { cwd: home, stdio: 'inherit', timeout: INSTALL_MS })
  writeFileSync(done, '')
}
