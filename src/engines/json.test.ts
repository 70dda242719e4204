// cwm's own calls leave no listener on their signal, which may be that of the whole process.

import { getEventListeners, once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { Breaker } from './breaker.ts'
import { GuardedUpstream } from './guarded-upstream.ts'
import { callJson } from './json.ts'
import { Upstream } from './upstream.ts'

async function upstreamThatAnswers(json: string): Promise<GuardedUpstream> {
  const server = createServer((_, response) => response.end(json)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const upstream = new Upstream({ url, connections: 1, connectTimeoutMs: 1_000, headersTimeoutMs: 0, bodyTimeoutMs: 0 })
  onTestFinished(async () => {
    await upstream.close()
    server.close()
  })
  return new GuardedUpstream(upstream, new Breaker({ failures: 1, openMs: 1_000, now: () => 0, onChange: () => {} }))
}

const { signal } = new AbortController()
const call = { method: 'GET', path: '/', apiKey: undefined, deadlineMs: 5_000, signal } as const

it('leaves no listener on its signal when it is answered', async () => {
  const upstream = await upstreamThatAnswers('{"ok":true}')

  expect(await callJson(upstream, call)).toEqual({ status: 200, body: { ok: true } })

  expect(getEventListeners(signal, 'abort')).toEqual([])
})

it('leaves no listener on its signal when it is refused at once', async () => {
  const upstream = await upstreamThatAnswers('{}')
  upstream.end(new CwmError('SHUTTING_DOWN', 'cwm is being stopped'))

  await expect(callJson(upstream, call)).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })

  expect(getEventListeners(signal, 'abort')).toEqual([])
})
