// Redis is cut at each command that a turn sends, in turn: the client gets its answer, under a salt that nobody else has. A command that a
// later change adds to a turn is cut too.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keyHash } from '../../../src/base/auth.ts'
import { type Sim, startSim } from '../../../src/sim/index.ts'
import { ask, type Got, jsonOf } from '../../support/client.ts'
import { saltsIn, user } from '../../support/conversation.ts'
import { type CutKind, CuttingHop } from '../../support/cutting-hop.ts'
import { until } from '../../support/deadline.ts'
import { RedisServer, skipsRedis } from '../../support/redis-server.ts'
import { type Cwm, startCwm } from '../../support/stack.ts'

/** More than any turn sends; reached only if turns send commands without end. */
const MOST_COMMANDS = 40
/** `limited`: each of its turns asks the store for its limits too. After a cut it does not ask for a second. */
const TENANTS = [
  { id: 'session', isolation: 'session' },
  { id: 'shared', isolation: 'tenant' },
  { id: 'limited', isolation: 'session', max_sessions: 100_000, tokens_per_minute: 10_000_000 },
] as const

const model = 'sim-model'
const chatBody = (messages: readonly unknown[]) => ({ model, messages, max_tokens: 8, temperature: 0 })

/** One request, new each time, or a follow-up of one that `prepare` sent. */
interface Kind {
  readonly name: string
  readonly path: string
  readonly headers?: (id: string) => Record<string, string>
  readonly first: (id: string) => object
  /** Sent before the cut; the request is then a follow-up. */
  readonly next?: (id: string, got: Got) => object
}

const opened = (id: string) => [user(`hello from ${id}`)]
const waited = new Set(['a first turn', 'a follow-up', 'the first turn of a named session', 'an embedding'])
const replyOf = (got: Got) => jsonOf<{ choices: { message: unknown }[] }>(got).choices[0]?.message
const contentOf = (got: Got) => jsonOf<{ content: unknown }>(got).content
const outputOf = (got: Got) => jsonOf<{ output: unknown[] }>(got).output

const kinds: readonly Kind[] = [
  { name: 'a first turn', path: '/v1/chat/completions', first: (id) => chatBody(opened(id)) },
  {
    name: 'a first turn with a conversation id',
    path: '/v1/chat/completions',
    headers: (id) => ({ 'x-openwebui-chat-id': id }),
    first: (id) => chatBody(opened(id)),
  },
  {
    name: 'a follow-up',
    path: '/v1/chat/completions',
    first: (id) => chatBody(opened(id)),
    next: (id, got) => chatBody([...opened(id), replyOf(got), user('and then?')]),
  },
  {
    name: 'the first turn of a named session',
    path: '/v1/chat/completions',
    headers: (id) => ({ 'x-cwm-session': id }),
    first: (id) => chatBody(opened(id)),
  },
  {
    name: 'a later turn of a named session, with another adapter',
    path: '/v1/chat/completions',
    headers: (id) => ({ 'x-cwm-session': id }),
    first: (id) => chatBody(opened(id)),
    next: (id) => ({ ...chatBody(opened(id)), cache_salt: 'a space of its own' }),
  },
  {
    name: 'a first turn of Anthropic',
    path: '/v1/messages',
    first: (id) => chatBody(opened(id)),
  },
  {
    name: 'a follow-up of Anthropic',
    path: '/v1/messages',
    first: (id) => chatBody(opened(id)),
    next: (id, got) => chatBody([...opened(id), { role: 'assistant', content: contentOf(got) }, user('and then?')]),
  },
  { name: 'a first response', path: '/v1/responses', first: (id) => ({ model, input: `hello from ${id}` }) },
  {
    name: 'a follow-up with earlier items',
    path: '/v1/responses',
    first: (id) => ({ model, input: opened(id) }),
    next: (id, got) => ({ model, input: [...opened(id), ...outputOf(got), user('and then?')] }),
  },
  {
    name: 'a completion',
    path: '/v1/completions',
    first: (id) => ({ model, prompt: `hello from ${id}`, max_tokens: 8 }),
  },
  { name: 'an embedding', path: '/v1/embeddings', first: (id) => ({ model, input: `hello from ${id}` }) },
]

/** What is cut, and how. Each runs at a proxy of its own, all at the same time. */
interface Job {
  readonly how: CutKind
  readonly tenant: (typeof TENANTS)[number]['id']
  readonly kinds: readonly Kind[]
}

const some = kinds.filter(({ name }) => waited.has(name))
const jobs: readonly Job[] = [
  { how: 'reset', tenant: 'session', kinds },
  { how: 'answer lost', tenant: 'shared', kinds: some },
  // A cut of this kind takes a second: nothing says that no answer will come.
  ...some.map((kind): Job => ({ how: 'silence', tenant: 'session', kinds: [kind] })),
  { how: 'silence', tenant: 'shared', kinds: kinds.slice(0, 1) },
  { how: 'silence', tenant: 'limited', kinds: kinds.slice(0, 1) },
]

describe.skipIf(skipsRedis)('when Redis is cut at any command of a turn', () => {
  let redis: RedisServer
  let sim: Sim
  const proxies: { readonly cwm: Cwm; readonly hop: CuttingHop }[] = []
  /** Names of Node's warnings. */
  const warnings: string[] = []
  const warn = ({ name }: Error) => warnings.push(name)

  beforeAll(async () => {
    process.on('warning', warn)
    redis = await RedisServer.start()
    sim = await startSim({ eventFlushMs: 0, engines: 2 })
    for (const _job of jobs) {
      const hop = await CuttingHop.before(redis.port)
      const cwm = await startCwm(sim.engineUrl, {
        upstream: sim.engines.map(({ url }) => ({ url, weight: 1, drain: false })),
        coordinator: sim.coordinatorUrl,
        secret: 'a secret that all proxies on one store share, of some length',
        store: `redis://127.0.0.1:${hop.port}`,
        tenants: TENANTS.map(({ id, ...limits }) => ({
          id,
          keys: [{ name: 'main', sha256: keyHash(`sk-${id}`) }],
          ...limits,
        })),
      })
      proxies.push({ cwm, hop })
    }
  })
  afterAll(async () => {
    for (const { hop } of proxies) hop.mend()
    await Promise.all(proxies.map(({ cwm }) => cwm.close()))
    await Promise.all(proxies.map(({ hop }) => hop.close()))
    await sim.close()
    await redis.dispose()
    process.off('warning', warn)
  })

  /** The salts of requests with this text that reached an engine. */
  const saltsWith = (text: string) =>
    sim.engines.flatMap(({ name }) =>
      sim.requests.all(name).flatMap(({ body }) => (body.includes(text) ? saltsIn(body) : [])),
    )

  /** Cuts at the `n`th command of a new request. Returns whether so many commands came, and what went wrong. */
  async function cutAt(n: number, { how, tenant }: Job, kind: Kind, { cwm, hop }: (typeof proxies)[number]) {
    const id = `${tenant}-${how}-${kind.name}-${n}`.replaceAll(/\W+/g, '-')
    const headers = { authorization: `Bearer sk-${tenant}`, ...kind.headers?.(id) }
    const send = (body: object) => ask(cwm.url, kind.path, { body, headers })
    // A new name each time, because a known one would be read from memory.
    let tries = 0
    await until('Redis is back', async () => {
      const probe = { ...headers, 'x-cwm-session': `probe-${tries++}-${id}` }
      const got = await ask(cwm.url, '/v1/chat/completions', { body: chatBody([user('back?')]), headers: probe })
      return got.headers['x-cwm-degraded'] === undefined
    })
    const body = kind.next === undefined ? kind.first(id) : kind.next(id, await send(kind.first(id)))
    const before = saltsWith(id)
    hop.cutAt(n, how)

    const got = await send(body)

    const { isCut } = hop
    hop.mend()
    const wrong = got.status === 200 ? [] : [`${id}: ${got.status} ${got.text}`]
    const isDegraded = got.headers['x-cwm-degraded'] === 'store'
    const salts = new Set(saltsWith(id))
    // The same salt again, or one that the tenant shares, would say that it is not isolated.
    if (isDegraded && salts.size !== before.length + 1) wrong.push(`${id}: not isolated`)
    return { isCut, wrong }
  }

  it('each turn is answered, and isolated where it cannot have its own session', async () => {
    const wrong = await Promise.all(
      jobs.map(async (job, at) => {
        const proxy = proxies[at]
        const all: string[] = []
        if (proxy === undefined) return all
        for (const kind of job.kinds) {
          let n = 1
          for (; n <= MOST_COMMANDS; n++) {
            const { isCut, wrong } = await cutAt(n, job, kind, proxy)
            all.push(...wrong)
            if (!isCut) break
          }
          if (n === 1 || n > MOST_COMMANDS) all.push(`${kind.name}: ${n} commands`)
        }
        return all
      }),
    )

    expect(wrong.flat()).toEqual([])
    // A proxy with several engines, tenants and Redis has all kinds of background tasks.
    expect(warnings).not.toContain('MaxListenersExceededWarning')
  }, 120_000)
})
