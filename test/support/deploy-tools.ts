// Programs that check the files in `deploy`. Without one, its tests are skipped with an install command; on CI they fail.

import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** Where `scripts/deploy-tools.sh` puts what Debian has no package of. */
const home = process.env.CWM_DEPLOY_TOOLS ?? `${process.env.XDG_CACHE_HOME ?? `${homedir()}/.cache`}/cwm-deploy-tools`
const OWN = 'bash scripts/deploy-tools.sh'

export const tools = {
  caddy: { program: `${home}/caddy`, install: OWN },
  'debian-caddy': { program: 'caddy', install: 'apt-get install caddy' },
  nginx: { program: 'nginx', install: 'apt-get install nginx-light' },
  openssl: { program: 'openssl', install: 'apt-get install openssl' },
  promtool: { program: 'promtool', install: 'apt-get install prometheus' },
  'systemd-analyze': { program: 'systemd-analyze', install: 'apt-get install systemd' },
  helm: { program: `${home}/helm`, install: OWN },
  /** Python packages: kubernetes-validate, and jsonschema with it. */
  python: { program: `${home}/python`, install: OWN },
  'compose-schema': { program: `${home}/compose-spec.json`, install: OWN },
} as const

export type Tool = keyof typeof tools

/** Whether to skip the tests of these tools: one is missing, and this is not CI. Prints how to install it. */
export function skipsWithout(...names: readonly Tool[]): boolean {
  const missing = names.filter((name) => !isInstalled(name))
  if (missing.length === 0 || process.env.CI === 'true') return false
  for (const name of missing) console.warn(`tests of deploy files are skipped without ${name}: ${tools[name].install}`)
  return true
}

/** The path of a tool. Throws with the install command if it is missing. */
export function pathOf(name: Tool): string {
  if (!isInstalled(name)) throw new Error(`${name} is not installed: ${tools[name].install}`)
  return tools[name].program
}

function isInstalled(name: Tool): boolean {
  const { program } = tools[name]
  if (program.startsWith('/')) return existsSync(program)
  // Debian has nginx in a folder that is not on the PATH of every user.
  return spawnSync('sh', ['-c', `command -v ${program}`], { env: environment() }).status === 0
}

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin` }
}

export interface Output {
  readonly code: number
  /** Standard output. */
  readonly text: string
  /** Standard error. */
  readonly errors: string
}

/** Runs a tool in the repository, until it ends. */
export async function run(name: Tool, ...words: readonly string[]): Promise<Output> {
  return await runProgram(pathOf(name), words)
}

/** Runs a Python module of `scripts/deploy-tools.sh`. */
export async function runPython(...words: readonly string[]): Promise<Output> {
  return await runProgram('python3', words, { PYTHONPATH: pathOf('python') })
}

async function runProgram(program: string, words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Output> {
  try {
    const options = { cwd: root, env: { ...environment(), ...env }, timeout: 60_000, maxBuffer: 16 * 1024 * 1024 }
    const { stdout, stderr } = await promisify(execFile)(program, words, options)
    return { code: 0, text: stdout, errors: stderr }
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: unknown; stdout?: string; stderr?: string }
    if (typeof code !== 'number') throw error
    return { code, text: stdout ?? '', errors: stderr ?? '' }
  }
}
