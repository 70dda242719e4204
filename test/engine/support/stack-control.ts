// Stops and starts the whole stack with the project's own scripts, as an operator would.

import { execFile } from 'node:child_process'
import { cp } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { ask, engineUrl, lmcacheUrl } from './stack.ts'

const scripts = fileURLToPath(new URL('../../../scripts/engine', import.meta.url))

// The defaults of scripts/engine/common.sh.
const engineHome =
  process.env.ENGINE_HOME ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'cwm-engine')
export const engineRun = process.env.ENGINE_RUN ?? join(engineHome, 'run')

async function script(name: string, env: Record<string, string> = {}): Promise<void> {
  await promisify(execFile)('bash', [join(scripts, name)], { env: { ...process.env, ...env } })
}

/** The folder of the running server's `fs` adapter; undefined when it has none. */
async function l2Folder(): Promise<string | undefined> {
  const config = (await ask('GET', `${lmcacheUrl}/config`)) as {
    storage_manager: { l2_adapter_config: { adapters: { base_path?: string }[] } }
  }
  return config.storage_manager.l2_adapter_config.adapters.find(({ base_path }) => base_path !== undefined)?.base_path
}

/**
 * Stops vLLM, LMCache server, coordinator, and Redis (which keeps nothing), and starts them again with `--enable-scale-out`. Takes minutes.
 * The L2 folder is kept. If the stack was started with another folder, its content moves to the default one.
 */
export async function restartStack(): Promise<void> {
  const { data } = (await ask('GET', `${engineUrl}/v1/models`)) as { data: { max_model_len: number }[] }
  const [folder, ours] = [await l2Folder(), join(engineRun, 'l2')]
  await script('down.sh')
  if (folder !== undefined && folder !== ours) await cp(folder, ours, { recursive: true })
  await startStack({ SCALE_OUT: '1', MAX_LEN: String(data[0]?.max_model_len ?? 4096) })
}

/** Starts the stack if it is not up. */
export async function startStack(env: Record<string, string> = {}): Promise<void> {
  await script('up.sh', env)
}
