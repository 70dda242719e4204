// Replays what was recorded from the real servers, and compares the target's answers with the recorded ones: status, media type, keys in
// their order, types and nulls, events in their order, and error messages.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Recorded, type RecordedGroup, recordedGroup } from '../../support/recorded.ts'
import { errorText, shape, streamShape } from './shape.ts'
import { eventually, newSalt, openTarget, type Reply, type ServerName, type Target } from './target.ts'

// pydantic lists every message type that it tried, and Python the character that it could not parse.
const WORDING_DIFFERS = ['chat, a message without role', 'chat, bad JSON']
const NOT_REPLAYED = [
  // Not simulated in detail, because cwm does not read them.
  'metrics (the lines that matter)',
  'config',
  // Occurs between the deletions of another group; kv.test.ts covers it.
  'directory lookup, after deletion from every adapter and l1',
]

/** Replaces recorded values by those of this target: names, salts, ids from earlier answers. */
const renames = new Map<string, string>()
let target: Target

beforeAll(async () => {
  target = await openTarget()
  for (const salt of ['saltA', 'saltB', 'saltNever']) renames.set(salt, newSalt())
  renames.set('./model', target.root)
  renames.set('"tiny"', JSON.stringify(target.model))
  renames.set('node-a', target.instance)
})

afterAll(() => target?.close())

function renamed(text: string): string {
  let result = text
  for (const [recorded, here] of renames) result = result.replaceAll(recorded, here)
  return result
}

/** The target's ids in place of the recorded ones, for later requests. */
function learn(recorded: unknown, here: unknown): void {
  if (typeof recorded !== 'object' || typeof here !== 'object' || recorded === null || here === null) return
  for (const [key, value] of Object.entries(recorded)) {
    const own = (here as Record<string, unknown>)[key]
    const isId = ['id', 'request_id', 'chunk_hash_hex'].includes(key)
    if (isId && typeof value === 'string' && typeof own === 'string' && value !== '') renames.set(value, own)
    learn(value, own)
  }
}

function send(server: ServerName, { name, request }: Recorded): Promise<Reply> {
  const type = name === 'chat, not JSON by its media type' ? 'text/plain' : undefined
  const body = request.body === null ? undefined : renamed(JSON.stringify(request.body))
  const raw = typeof request.body === 'string' ? request.body : body
  return target.call(server, request.method, renamed(request.path), raw, type)
}

/** Recorded before an L2 was marked as shared, which the pair of test engines needs. cwm does not read this list. */
function withoutSharedModules(body: unknown): unknown {
  return typeof body === 'object' && body !== null && 'shared_modules' in body ? { ...body, shared_modules: [] } : body
}

function summary(status: number, type: string | null, given: unknown, name: string): unknown {
  const body = withoutSharedModules(given)
  const whole = typeof body === 'string' && type?.startsWith('text/event-stream') ? streamShape(body) : shape(body)
  const names = [target.model, target.root, ...renames.keys(), ...renames.values(), 'tiny']
  const wording = status >= 400 && !WORDING_DIFFERS.includes(name) ? errorText(body, names) : null
  return { status, type, shape: whole, wording }
}

function replay(group: RecordedGroup, server: (path: string) => ServerName): void {
  const exchanges = recordedGroup(group).filter(({ name }) => !NOT_REPLAYED.includes(name))
  it.for(exchanges.map((exchange) => [exchange.name, exchange] as const))('%s', async ([name, exchange], context) => {
    const { response, request } = exchange
    const expected = summary(response.status, response.content_type, response.body, name)
    const ask = () => send(server(request.path), exchange)
    // The real engine, started with --enable-scale-out, answers requests whose recorded answer is an error; prefix.test.ts covers that.
    if (name.endsWith(', disabled') && (await ask()).status !== 403) return context.skip('this engine renders')
    const seen = (reply: Reply) => summary(reply.status, reply.type, reply.json ?? reply.text, name)
    let reply = await ask()
    // The directory learns from events, and a prefetch takes time: queries may be repeated, changes may not.
    const question = request.method === 'GET' || request.path.startsWith('/directory')
    if (question && !same(seen(reply), expected)) {
      reply = await eventually(name, 6000, ask, (again) => same(seen(again), expected)).catch(() => reply)
    }
    expect(seen(reply)).toEqual(expected)
    learn(response.body, reply.json)
  })
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

describe('vLLM, as recorded', () => {
  replay('vllm', () => 'engine')
})

describe('the coordinator, as recorded', () => {
  beforeAll(async () => {
    const { request } = recordedGroup('lmcache-coordinator').find(({ name }) => name === 'pin') ?? {
      request: undefined,
    }
    const { token_ids: prompt, cache_salt } = JSON.parse(renamed(JSON.stringify(request?.body)))
    const warm = { model: target.model, prompt, max_tokens: 1, cache_salt }
    await target.call('engine', 'POST', '/v1/completions', warm)
  })
  replay('lmcache-coordinator', () => 'coordinator')
})

describe('the LMCache server, as recorded', () => {
  replay('lmcache-server', () => 'lmcache')
})
