// Checks what the upstream receives from a disconnected client: tested with correct and faulty proxies.

import { once } from 'node:events'
import { Agent, createServer } from 'node:http'
import { expect, it, onTestFinished } from 'vitest'
import { Tally } from './tally.mjs'
import { plans } from './turn-plans.mjs'
import { Turns } from './turns.mjs'
import { ScriptedUpstream } from './upstream.mjs'

const planOf = (name) => plans.find((plan) => plan.name === name)

/** The fault of a turn of that plan, through the proxy at the URL from `proxyOf`. */
async function wrongWith(name, proxyOf) {
  const upstream = new ScriptedUpstream('http://127.0.0.1:9')
  await upstream.start()
  const agent = new Agent()
  onTestFinished(async () => {
    agent.destroy()
    await upstream.stop()
  })
  const tally = new Tally()
  const turns = new Turns({ url: await proxyOf(upstream), upstream, agent, tally })
  await turns.session('soak-1', {}, [planOf(name)])
  expect(tally.total).toBe(1)
  return tally.shown
}

/** A proxy that forwards bytes as they arrive. Here, none at all. */
const passThrough = (upstream) => upstream.url

/** A proxy that forwards nothing before it has everything. */
async function waitsForAll() {
  const server = createServer((request) => request.on('error', () => {}).resume()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => server.close())
  return `http://127.0.0.1:${server.address().port}`
}

it('rejects half a request that is forwarded', async () => {
  const name = 'client leaves while sending'

  expect(await wrongWith(name, waitsForAll)).toEqual([])
  expect(await wrongWith(name, passThrough)).toEqual([`${name}: the upstream was sent half a request`])
})

it('expects the upstream to notice a disconnect during a stream', async () => {
  expect(await wrongWith('client leaves in mid-stream', passThrough)).toEqual([])
})
