// The preset `vllm-router` before the real router (vllm-router 0.1.17, its defaults but for the policy), with workers that only answer and
// record. Needs no engine; skipped without the router: ROUTER=1 npm run engine:setup.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { ask } from '../../support/client.ts'
import { until } from '../../support/deadline.ts'
import { type FakeUpstream, startFakeUpstream } from '../../support/fake-upstream.ts'
import { freePort } from '../../support/raw-upstream.ts'
import { endSession } from '../../support/rest.ts'
import { type Cwm, startCwm } from '../../support/stack.ts'
import { engineRun } from '../support/stack-control.ts'

const SESSIONS = 20
const TURNS = 3
const binary = join(engineRun, '../router/bin/vllm-router')
const paths = ['/v1/chat/completions', '/v1/messages', '/v1/responses']

const message = { role: 'assistant', content: 'ok' }
const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
const answer = {
  id: 'c',
  object: 'chat.completion',
  created: 1,
  model: 'm',
  choices: [{ index: 0, message, finish_reason: 'stop' }],
  usage,
}

let workers: FakeUpstream[] = []
let router: ChildProcess
let printed = ''
let cwm: Cwm
afterEach(async () => {
  await cwm.close()
  router.kill()
  await Promise.all(workers.map((worker) => worker.close()))
})

async function start(policy: string): Promise<void> {
  const answers = () =>
    startFakeUpstream((_, response) => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(answer))
    })
  workers = [await answers(), await answers()]
  const [port, metrics] = [await freePort(), await freePort()]
  const options = { '--host': '127.0.0.1', '--port': port, '--policy': policy, '--prometheus-port': metrics }
  const flags = Object.entries(options).flatMap(([name, value]) => [name, String(value)])
  printed = ''
  router = spawn(binary, [...flags, '--worker-urls', ...workers.map(({ url }) => url)], { stdio: 'pipe' })
  const keep = (bytes: Buffer) => {
    printed = (printed + bytes.toString()).slice(-1_000_000)
  }
  router.stdout?.on('data', keep)
  router.stderr?.on('data', keep)
  const url = `http://127.0.0.1:${port}`
  await until(
    'the router answers',
    () =>
      fetch(`${url}/health`)
        .then(({ ok }) => ok)
        .catch(() => false),
    60_000,
  )
  cwm = await startCwm(url, { affinity: 'vllm-router' })
}

/** A turn of a client that sends what every other client sends too. Returns the index of the worker that got it. */
async function workerOf(path: string, session: string): Promise<number> {
  const before = workers.map(({ received }) => received.length)
  const body = path.endsWith('responses')
    ? { model: 'm', input: 'hi' }
    : { model: 'm', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] }
  const headers = { 'x-cwm-session': session, 'x-session-id': 'one-for-all', 'x-user-id': 'one-for-all' }
  const got = await ask(cwm.url, path, { body, headers })
  expect(got.status).toBe(200)
  return workers.findIndex(({ received }, i) => received.length > (before[i] ?? 0))
}

describe.skipIf(!existsSync(binary)).each(['consistent_hash', 'sticky_least_loaded'])(
  'with the policy %s',
  (policy) => {
    it('each session stays on one worker, both get some, and the router hears of its end', async () => {
      await start(policy)
      for (const path of paths) {
        const seen = Array.from({ length: SESSIONS }, () => new Set<number>())
        for (let turn = 0; turn < TURNS; turn++) {
          for (const [i, own] of seen.entries()) own.add(await workerOf(path, `s-${i}`))
        }
        expect(seen.filter(({ size }) => size !== 1)).toEqual([])
        expect(new Set(seen.flatMap((own) => [...own]))).toEqual(new Set([0, 1]))
      }

      await endSession(cwm.url, 's-1')

      if (policy === 'sticky_least_loaded') {
        await until('the router has released it', () => /SLL: finished session '[A-Za-z0-9_-]{43}'/.test(printed))
      }
    })
  },
)
