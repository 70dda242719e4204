// The second engine and the router of the test stack (PAIR=1 ROUTER=1 npm run engine:up): their addresses, and how a test kills one
// server of the two or starts it again.

import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ask, engineUrl, eventually, lmcacheUrl } from '../../support/stack.ts'
import { engineRun, startStack } from '../../support/stack-control.ts'

/** One vLLM with its LMCache server. */
export interface TestEngine {
  readonly url: string
  readonly lmcacheUrl: string
  /** The instance id of its LMCache server. */
  readonly instance: string
}

export const engineA: TestEngine = { url: engineUrl, lmcacheUrl, instance: 'node-a' }
export const engineB: TestEngine = {
  url: process.env.CWM_ENGINE_B_URL ?? 'http://127.0.0.1:8100',
  lmcacheUrl: process.env.CWM_LMCACHE_B_URL ?? 'http://127.0.0.1:8180',
  instance: 'node-b',
}
export const engines = [engineA, engineB] as const
export const routerUrl = process.env.CWM_ROUTER_URL ?? 'http://127.0.0.1:8200'

/** The Redis that both LMCache servers have as L2: scripts/engine/common.sh. */
export const l2Port = Number(process.env.REDIS_PORT ?? 6390)

/** The names of the pid files of scripts/engine/up.sh. */
export type ServerName = 'vllm' | 'vllm-b' | 'lmcache' | 'lmcache-b' | 'redis' | 'router'

const PATIENCE_MS = 3_000
/** With two engines on two cores, the kernel took more than 15 s to free a killed vLLM's memory. */
const ENDED_MS = 60_000

export async function answers(url: string): Promise<boolean> {
  return await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS) }).then(
    (answer) => answer.ok,
    () => false,
  )
}

/**
 * Kills a server and its workers with kill -9, and waits until they have ended: a dying process that still frees its memory accepts
 * requests. They are one session of processes, which its pid names.
 */
export async function killServer(name: ServerName): Promise<void> {
  const session = (await readFile(join(engineRun, `${name}.pid`), 'utf8')).trim()
  for (const pid of membersOf(session)) process.kill(pid, 'SIGKILL')
  await eventually(
    `${name} has ended`,
    () => Promise.resolve(membersOf(session)),
    (left) => left.length === 0,
    { deadlineMs: ENDED_MS },
  )
}

function membersOf(session: string): number[] {
  const rows = execFileSync('ps', ['-e', '-o', 'pid=,sid=,stat='], { encoding: 'utf8' }).trim().split('\n')
  const processes = rows.map((row) => row.trim().split(/\s+/))
  return processes.filter(([, sid, stat]) => sid === session && stat?.[0] !== 'Z').map(([pid]) => Number(pid))
}

/** Starts whatever of the pair is not running. Takes a minute or two for a vLLM. */
export async function startPair({ router = false } = {}): Promise<void> {
  await startStack({ PAIR: '1', ROUTER: router ? '1' : '0' })
}

/** How many requests each engine has answered since it started; 0 for one that does not answer. */
export const served = (): Promise<readonly [a: number, b: number]> => onBoth('request_success_total')

/** How many requests each engine is generating for. */
export const running = (): Promise<readonly [a: number, b: number]> => onBoth('num_requests_running')

async function onBoth(metric: string): Promise<readonly [a: number, b: number]> {
  return await Promise.all([metricOf(engineA, metric), metricOf(engineB, metric)])
}

async function metricOf({ url }: TestEngine, metric: string): Promise<number> {
  const text = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(PATIENCE_MS) }).then(
    (answer) => answer.text(),
    () => '',
  )
  const lines = [...text.matchAll(new RegExp(`^vllm:${metric}\\{[^}]*\\} ([0-9.e+]+)$`, 'gm'))]
  return lines.reduce((sum, [, value]) => sum + Number(value), 0)
}

/** Empties the engine's own cache and its LMCache server's memory, as after a restart of both. L2 stays. */
export async function forgetAt({ url, lmcacheUrl }: TestEngine): Promise<void> {
  await ask('POST', `${url}/reset_prefix_cache`)
  await ask('POST', `${lmcacheUrl}/cache/clear`, { tier: 'l1' })
}
