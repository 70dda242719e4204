// Each affinity preset against the router's own parsing, for a client that sends everything by which any router places a request.

import { afterEach, describe, expect, it } from 'vitest'
import { routerTable } from '../../../src/engines/router-table.ts'
import { ask } from '../../support/client.ts'
import { type FakeUpstream, startFakeUpstream } from '../../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../../support/stack.ts'
import {
  aibrixPod,
  dynamoOverrides,
  dynamoSession,
  llmdHints,
  llmdSession,
  productionStackSession,
  type RoutedRequest,
  sglangGateway,
  vllmRouterKey,
  vllmRouterProgram,
} from './parsers.ts'

let cwm: Cwm
let upstream: FakeUpstream
afterEach(async () => {
  await cwm.close()
  await upstream.close()
})

const answer = {
  id: 'c',
  choices: [{ index: 0, message: { role: 'assistant', content: 'ok' }, finish_reason: 'stop' }],
}
const opaque = /^[A-Za-z0-9_-]{43}$/
const pods = ['10.0.0.1:8000', '10.0.0.2:8000', '10.0.0.3:8000']

/** Every header of the table that is not rejected, and the body fields that pass. */
const hostile: Record<string, string> = Object.fromEntries(
  routerTable
    .flatMap(({ session = [], spreading = [], steering = [], outranked = [] }) => [
      ...session,
      ...spreading,
      ...steering,
      ...outranked.filter((name) => name.includes('-')),
    ])
    .map((name) => [name, `chosen-${name}`]),
)
hostile['x-session-id'] = Buffer.from('10.0.0.2:8000').toString('base64')

async function open(affinity: string): Promise<void> {
  upstream = await startFakeUpstream((_, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(answer))
  })
  cwm = await startCwm(upstream.url, { affinity })
}

/** What the router receives for a turn of the session. */
async function turn(session: string, headers: Record<string, string> = {}, key = 'key-1'): Promise<RoutedRequest> {
  const got = await ask(cwm.url, '/v1/chat/completions', {
    headers: { 'x-cwm-session': session, authorization: `Bearer ${key}`, ...headers },
    body: {
      model: 'm',
      messages: [{ role: 'user', content: 'hi' }],
      user: 'chosen',
      user_id: 'chosen',
      session_id: 's',
    },
  })
  expect(got.status).toBe(200)
  const sent = upstream.received.at(-1)
  return { headers: sent?.headers ?? {}, body: JSON.parse(sent?.body.toString() ?? '{}') as Record<string, unknown> }
}

/** Plain and hostile turns of one session have one opaque key; another session and another tenant have others. */
async function keysOf(read: (request: RoutedRequest) => unknown): Promise<void> {
  const own = read(await turn('one'))
  expect(own).toMatch(opaque)
  expect(read(await turn('one', hostile))).toBe(own)
  expect(read(await turn('two', hostile))).not.toBe(own)
  expect(read(await turn('one', hostile, 'key-2'))).not.toBe(own)
}

describe('the preset vllm-router', () => {
  it('decides the hash key and the session of vllm-project/router 0.1.17, src/policies/hash_key.rs', async () => {
    await open('vllm-router')
    await keysOf(vllmRouterKey)
  })

  it('decides the program of vllm-project/router 0.1.17, src/program_scheduling/identity.rs', async () => {
    await open('vllm-router')
    await keysOf(vllmRouterProgram)
  })
})

describe('the preset llm-d', () => {
  it('decides the session of llm-d-router ebab687, util/sessionaffinity/session_id.go', async () => {
    await open('llm-d')
    await keysOf(llmdSession)
  })

  it('leaves clients no objective, rewrite, pod or agent of pkg/epp/handlers/request.go, and one fairness id per tenant', async () => {
    await open('llm-d')

    const one = llmdHints(await turn('one', hostile))
    const two = llmdHints(await turn('two', hostile))
    const other = llmdHints(await turn('one', hostile, 'key-2'))

    expect(one).toEqual({
      fairness: expect.stringMatching(opaque),
      objective: undefined,
      rewrite: undefined,
      pod: undefined,
      agent: undefined,
    })
    expect(two.fairness).toBe(one.fairness)
    expect(other.fairness).not.toBe(one.fairness)
  })
})

describe('the preset dynamo', () => {
  it('decides the session of ai-dynamo/dynamo, lib/llm/src/protocols/agents.rs', async () => {
    await open('dynamo')
    await keysOf(dynamoSession)
  })

  it('leaves clients no worker, rank, priority, cache space or end of lib/llm/src/protocols/openai/nvext.rs', async () => {
    await open('dynamo')

    expect(dynamoOverrides(await turn('one', hostile))).toBeUndefined()
  })
})

describe('the preset aibrix', () => {
  it('decides the pod of vllm-project/aibrix e3e10f9, algorithms/simple_session_affinity.go', async () => {
    await open('aibrix')
    const podOf = async (session: string) => aibrixPod(await turn(session, hostile), pods)

    const first = await podOf('s-0')
    expect(first).toBeDefined()
    expect(await podOf('s-0')).toBe(first)
    const all = new Set<string | undefined>()
    for (let i = 0; i < 20; i++) all.add(await podOf(`s-${i}`))
    expect([...all].sort()).toEqual(pods)
  })
})

describe('header:NAME', () => {
  it('decides the session of vllm-project/production-stack a6c01db, routing_logic.py', async () => {
    await open('header:x-flow-id')
    hostile['x-flow-id'] = 'chosen'
    await keysOf((request) => productionStackSession(request, 'x-flow-id'))
    delete hostile['x-flow-id']
  })

  it('decides the key of SGLang’s gateway, and leaves clients no worker: src/policies/manual.rs', async () => {
    await open('header:X-SMG-Routing-Key')
    await keysOf((request) => sglangGateway(request).key)
    expect(sglangGateway(await turn('one', hostile)).worker).toBeUndefined()
  })
})

describe('without an affinity header', () => {
  it('a client’s session id goes out as one opaque id per lineage to each router, and steers none', async () => {
    await open('none')

    const request = await turn('one', hostile)
    const id = vllmRouterKey(request)

    expect(id).toMatch(opaque)
    expect([llmdSession(request), vllmRouterProgram(request), dynamoSession(request)]).toEqual([id, [id, id], id])
    expect(aibrixPod(request, pods)).toBeUndefined()
    expect(llmdHints(request)).toMatchObject({ fairness: undefined, objective: undefined, pod: undefined, agent: id })
    expect(dynamoOverrides(request)).toBeUndefined()
    expect(sglangGateway(request)).toEqual({ worker: undefined, key: '' })
  })

  it('nothing is added to the request of a client that names nothing', async () => {
    await open('none')

    const { headers } = await turn('one')
    const names = routerTable.flatMap(({ session = [], steering = [] }) => [...session, ...steering])

    expect(names.filter((name) => name in headers)).toEqual([])
  })
})
