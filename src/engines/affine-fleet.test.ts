// The fleet that adds affinity headers: to requests and to cwm's own calls, and only for work that has a key.

import { describe, expect, it } from 'vitest'
import { AffineFleet } from './affine-fleet.ts'
import { type Affinity, readAffinity } from './affinity.ts'
import type { AnswerSink, CallOptions, Engine, OutgoingRequest } from './engine.ts'
import { FleetOfOne } from './fleet.ts'

const affinityOf = (setting: string) => readAffinity(setting) as Affinity
const keys = {
  keyOf: ({ tenant, lineage }: { tenant?: string; lineage?: string }) =>
    lineage === undefined ? undefined : `key-of-${tenant}-${lineage}`,
  tenantOf: (tenant: string) => `opaque-${tenant}`,
}
const need = { tenant: 't', lineage: 'l', model: 'm' }
const sink: AnswerSink = { onStart() {}, onHeaders() {}, onData() {}, onEnd() {}, onError() {} }

/** An engine that records what it is given. Its id changes, as that of a placed engine does after a failover. */
function recorder() {
  const sent: OutgoingRequest[] = []
  const calls: CallOptions[] = []
  const engine = {
    id: 'one',
    send: (request: OutgoingRequest) => {
      sent.push(request)
      return () => {}
    },
    tokenIds: async (_: unknown, options: CallOptions) => void calls.push(options),
    countTokens: async (_: unknown, options: CallOptions) => void calls.push(options),
    cacheTokens: async (options: CallOptions) => void calls.push(options),
    countText: async (_: unknown, __: unknown, options: CallOptions) => void calls.push(options),
    warm: async (_: unknown, options: CallOptions) => {
      calls.push(options)
      return { cachedTokens: 0, promptTokens: 0 }
    },
  }
  return { sent, calls, engine: engine as unknown as Engine & { id: string } }
}

describe('an engine picked by an affine fleet', () => {
  it('sends the key after the headers of the request, and does not change the request', async () => {
    const { engine, sent } = recorder()
    const fleet = new AffineFleet(new FleetOfOne(engine), affinityOf('header:x-flow'), keys)
    const request = { method: 'POST', path: '/v1/x', headers: ['accept', '*/*'], body: undefined }

    const picked = await fleet.pick(need)
    picked.send(request, sink)

    expect(sent[0]?.headers).toEqual(['accept', '*/*', 'x-flow', 'key-of-t-l'])
    expect(request.headers).toEqual(['accept', '*/*'])
  })

  it('adds the key to each of its own calls, beside headers that they have', async () => {
    const { engine, calls } = recorder()
    const picked = await new AffineFleet(new FleetOfOne(engine), affinityOf('dynamo'), keys).pick(need)
    const prompt = {} as Parameters<Engine['tokenIds']>[0]

    await picked.tokenIds(prompt, { apiKey: 'k' })
    await picked.countTokens(prompt, { apiKey: 'k', headers: ['x-a', '1'] })
    await picked.countText('m', 'text', { apiKey: 'k' })
    await picked.warm({ model: 'm', tokenIds: Uint32Array.of(1), salt: 's' }, { apiKey: 'k' })

    const own = ['x-dynamo-session-id', 'key-of-t-l']
    expect(calls).toEqual([
      { apiKey: 'k', headers: own },
      { apiKey: 'k', headers: ['x-a', '1', ...own] },
      { apiKey: 'k', headers: own },
      { apiKey: 'k', headers: own },
    ])
  })

  it('sends the opaque tenant too if the router is fair among tenants, even without a key', async () => {
    const { engine, sent } = recorder()
    const fleet = new AffineFleet(new FleetOfOne(engine), affinityOf('llm-d'), keys)
    const request = { method: 'POST', path: '/v1/x', headers: [], body: undefined }

    ;(await fleet.pick(need)).send(request, sink)
    ;(await fleet.pick({ tenant: 't', model: 'm' })).send(request, sink)

    expect(sent.map(({ headers }) => headers)).toEqual([
      ['x-session-id', 'key-of-t-l', 'x-llm-d-inference-fairness-id', 'opaque-t'],
      ['x-llm-d-inference-fairness-id', 'opaque-t'],
    ])
  })

  it('is the engine itself for work without a key', () => {
    const { engine } = recorder()

    expect(new AffineFleet(new FleetOfOne(engine), affinityOf('aibrix'), keys).pick({})).toBe(engine)
  })

  it('is a promise only if the fleet below needs one, and follows the engine after a failover', async () => {
    const { engine, sent } = recorder()
    const below = Object.assign(new FleetOfOne(engine), { pick: () => Promise.resolve(engine) })
    const fleet = new AffineFleet(below, affinityOf('aibrix'), keys)

    const picking = fleet.pick(need)
    expect(picking).toBeInstanceOf(Promise)
    const picked = await picking
    engine.id = 'two'
    picked.send({ method: 'POST', path: '/', headers: [], body: undefined }, sink)

    expect(picked.id).toBe('two')
    expect(sent[0]?.headers).toEqual(['x-aibrix-session-key', 'key-of-t-l'])
    expect(new AffineFleet(new FleetOfOne(engine), affinityOf('aibrix'), keys).pick(need)).not.toBeInstanceOf(Promise)
  })
})
