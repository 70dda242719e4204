// Other gateways that `--peers` compares with cwm. Each is installed once, in the version below, into its own folder in the user's cache.
// Installing runs no scripts of the packages.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { MODELS } from './answers.mjs'
import { API_KEY } from './client.mjs'

/** LiteLLM takes this long to start on a shared core. */
const READY_MS = 180_000

const fromNpm =
  (...names) =>
  (folder) => {
    // Peer dependencies must not override the versions named here.
    const flags = ['--ignore-scripts', '--legacy-peer-deps', '--no-fund', '--no-audit', '--loglevel=error']
    return [['npm', 'install', '--prefix', folder, ...flags, ...names]]
  }
/** Wheels only: a build would run the package's code, and need a compiler. */
const fromPip = (name) => (folder) => [
  ['python3', '-m', 'venv', folder],
  [join(folder, 'bin/pip'), 'install', '--disable-pip-version-check', '--only-binary', ':all:', name],
]

const litellmConfig = (upstream) =>
  JSON.stringify({
    model_list: MODELS.map((model) => ({
      model_name: model,
      litellm_params: { model: `openai/${model}`, api_base: `${upstream}/v1`, api_key: 'none' },
    })),
  })

/**
 * `install`: commands that fill a folder. `start`: the command to run; it receives that folder as `home`. `headers`: what a client must
 * send. `rewrites`: answers differ from the upstream's bytes, so their lengths are not compared.
 */
export const peers = [
  {
    name: 'portkey',
    title: "Portkey's gateway",
    version: '1.15.2',
    // With node-server 1.14.2 and 1.19.19 it answers every stream with 500: https://github.com/Portkey-AI/gateway/issues/1389
    install: fromNpm('@portkey-ai/gateway@1.15.2', '@hono/node-server@1.13.8'),
    readyPath: '/',
    rewrites: true,
    headersTo: (upstream) => ({ 'x-portkey-provider': 'openai', 'x-portkey-custom-host': `${upstream}/v1` }),
    start: ({ port, home }) => ({
      command: process.execPath,
      args: [join(home, 'node_modules/@portkey-ai/gateway/build/start-server.js'), `--port=${port}`, '--headless'],
    }),
  },
  {
    name: 'litellm',
    title: 'LiteLLM',
    version: '1.106.2',
    install: fromPip('litellm[proxy]==1.106.2'),
    readyPath: '/health/liveliness',
    rewrites: true,
    start: ({ port, upstream, folder, home }) => {
      const config = join(folder, 'config.yaml')
      writeFileSync(config, litellmConfig(upstream))
      const args = ['--config', config, '--host', '127.0.0.1', '--port', String(port), '--telemetry', 'False']
      return {
        command: join(home, 'bin/litellm'),
        args,
        env: { LITELLM_MASTER_KEY: API_KEY, LITELLM_LOCAL_MODEL_COST_MAP: 'True' },
      }
    },
  },
  {
    name: 'vllm-router',
    title: "vLLM's router",
    version: '0.1.17',
    install: fromPip('vllm-router==0.1.17'),
    start: ({ port, upstream, home }) => ({
      command: join(home, 'bin/vllm-router'),
      args: ['--host', '127.0.0.1', '--port', String(port), '--worker-urls', upstream, '--policy', 'round_robin'],
    }),
  },
].map((peer) => ({ ...peer, isPeer: true, readyMs: READY_MS }))

/** The peer as a target, installed if necessary. Throws if it cannot be installed; standard error has the details. */
export function installPeer(peer, report) {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'cwm-bench')
  const home = join(cache, `${peer.name}-${peer.version}`)
  const mark = join(home, '.installed')
  const commands = peer.install(home)
  const installed = JSON.stringify(commands)
  if (!existsSync(mark) || readFileSync(mark, 'utf8') !== installed) {
    report(`installing ${peer.title} ${peer.version} into ${home}`)
    rmSync(home, { recursive: true, force: true })
    mkdirSync(home, { recursive: true })
    for (const [command, ...args] of commands) {
      // The installer's output is the progress to show. Standard output is for the tables.
      const { status, error } = spawnSync(command, args, { stdio: ['ignore', 2, 2] })
      if (status !== 0) throw new Error(`${command} ${error?.message ?? `exited with ${status}`}`)
    }
    writeFileSync(mark, installed)
  }
  return { ...peer, start: (place) => peer.start({ ...place, home }) }
}
