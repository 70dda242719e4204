// `cwm` alone, as a process: what it advises in each state, with real names, within a small terminal.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { CliProcess, type CliResult } from '../support/cli-process.ts'
import { chat, prose, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { frozenSession } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

const operatorKey = 'operator-0123456'
const tenants = [{ id: 'acme', keys: [{ name: 'main', sha256: keyHash('sk-acme-01234567') }] }]

let built: BuiltCwm
let stack: Stack
let guarded: Stack
beforeAll(async () => {
  ;[built, stack, guarded] = await Promise.all([
    buildCwm(),
    startStack(),
    startStack({ settings: { tenants, operator_key: operatorKey } }),
  ])
})
afterAll(async () => {
  await stack.close()
  await guarded.close()
  await built.dispose()
})

async function cwm(env: Record<string, string>): Promise<CliResult> {
  const result = await new CliProcess(built, [], { env, input: '' }).result()
  expect(result.out.split('\n').length).toBeLessThan(24)
  return result
}

it('says how to start if nothing answers', async () => {
  const { out, err, ended } = await cwm({ CWM_URL: 'http://127.0.0.1:9' })

  expect(out).toContain('cannot connect to http://127.0.0.1:9 (ECONNREFUSED)\n')
  for (const command of ['cwm demo', 'cwm serve --upstream', 'cwm doctor', 'export CWM_URL=', 'cwm --help'])
    expect(out).toContain(command)
  expect({ err, ended }).toEqual({ err: '', ended: 0 })
})

it('says so if something else answers', async () => {
  const other = createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1')
  await once(other, 'listening')
  const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`

  const { out, ended } = await cwm({ CWM_URL: url })
  other.close()

  expect(out).toContain(`the server at ${url} is not cwm (HTTP 200)`)
  expect(ended).toBe(0)
})

it('follows what was done: point an app here, then freeze, then thaw and ask', async () => {
  const env = { CWM_URL: stack.url }

  const empty = await cwm(env)
  await chat(stack.url, [user(prose(300))], { headers: { 'x-cwm-session': 'ann' } })
  const talked = await cwm(env)
  await frozenSession(stack.url, { session: 'bob', window: 'contract' })
  const frozen = await cwm(env)

  expect(empty.out).toContain(`at ${stack.url}: engine up, LMCache up\n`)
  expect(empty.out).toContain(`export OPENAI_BASE_URL=${stack.url}/v1`)
  expect(empty.out).toContain('export CWM_API_KEY=KEY')
  expect(talked.out).toContain('cwm windows freeze NAME --session ann')
  expect(frozen.out).toMatch(/The newest window: contract \([\d,]+ tokens\)\n/)
  expect(frozen.out).toContain('cwm windows thaw contract')
  expect(frozen.out).toContain("cwm ask 'QUESTION' --window contract")
})

it('names the variable if a key is needed or wrong', async () => {
  const without = await cwm({ CWM_URL: guarded.url })
  const wrong = await cwm({ CWM_URL: guarded.url, CWM_API_KEY: 'sk-wrong-0123456' })

  expect(without.out).toContain('cwm needs an API key. Set the one that your app uses:\n  export CWM_API_KEY=KEY')
  expect(wrong.out).toContain('cwm rejects the key in CWM_API_KEY.')
})

it("shows the operator's commands for the operator's key", async () => {
  const { out } = await cwm({ CWM_URL: guarded.url, CWM_API_KEY: operatorKey })

  expect(out).toContain("This is the operator's key:")
  expect(out).toContain('cwm usage --by tenant,model')
})

it('says that the engine is down', async () => {
  await guarded.sim.setOnline('engine', false)
  // The engine is probed at most once a second.
  await until('health tells of the engine', async () => (await fetch(`${guarded.url}/cwm/v1/health`)).status === 503)
  const { out, ended } = await cwm({ CWM_URL: guarded.url })
  await guarded.sim.setOnline('engine', true)

  expect(out).toContain('engine down')
  expect(out).toContain('cwm doctor')
  expect(ended).toBe(0)
})

it('refuses an invalid CWM_URL with 2', async () => {
  const { out, err, ended } = await cwm({ CWM_URL: 'nonsense' })

  expect(err).toContain('--url (or CWM_URL) must be a URL')
  expect({ out, ended }).toEqual({ out: '', ended: 2 })
})
