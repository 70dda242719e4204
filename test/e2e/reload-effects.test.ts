// Every reloadable setting takes effect without a restart. A setting without a case here does not compile.

import { afterEach, describe, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import { type ReloadableSetting, reloadable, type Settings } from '../../src/config/schema.ts'
import type { PageJson } from '../../src/wire/lists.ts'
import type { NearLimitJson } from '../../src/wire/tenants.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import { ask, jsonOf } from '../support/client.ts'
import { askChat, assistant, type ChatMessage, chat, prose, saltsIn, system, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { call, rest } from '../support/rest.ts'
import { type SettingsEdit, type Stack, type StackOptions, startStack } from '../support/stack.ts'

interface Case {
  readonly start?: StackOptions
  readonly set: SettingsEdit
  /** What is seen before the reload, and after it. */
  readonly observe: () => unknown
  readonly before: unknown
  readonly after: unknown
}

const CHAT = '/v1/chat/completions'
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
const tenant = (key: string): NonNullable<Settings['tenants']> => [
  { id: 'acme', keys: [{ name: 'main', sha256: keyHash(key) }] },
]

let stack: Stack
let serial = 0
/** A name that no earlier request used. */
const fresh = () => `n${serial++}`
const url = () => stack.url.replace('0.0.0.0', '127.0.0.1')

const statusOf = async (got: Promise<{ readonly status: number }>) => (await got).status
const sentChats = () =>
  stack.sim.requests.all('engine').filter(({ path, method }) => path === CHAT && method === 'POST')
const lastBody = () => sentChats().at(-1)?.body ?? Buffer.alloc(0)
const lastMessages = () => (JSON.parse(lastBody().toString()) as { messages: readonly ChatMessage[] }).messages

const delayed = (times: number) => stack.sim.fault({ path: CHAT, times, action: { kind: 'delay', ms: 300 } })

/** How many of `count` concurrent requests are accepted. */
async function acceptedOf(count: number, send: () => Promise<{ readonly status: number }>): Promise<number> {
  delayed(count)
  const statuses = await Promise.all(Array.from({ length: count }, () => statusOf(send())))
  return statuses.filter((status) => status !== 429).length
}

const say = (headers: Record<string, string> = {}, body: object = {}) => askChat(url(), [user('hi')], { headers, body })
const putWindow = (name = fresh()) =>
  call(url(), 'PUT', `/windows/${name}`, { model: 'sim-model', document: `${name} ${prose(400, name)}` })

/** A long chat that is new to cwm, so that a rollover cuts it at once. */
async function rolledOver(): Promise<readonly ChatMessage[]> {
  const seed = fresh()
  const turns = Array.from({ length: 24 }, (_, i) => [
    user(`Question ${i} of ${seed}: ${prose(60, seed)}`),
    assistant(`Answer ${i} of ${seed}.`),
  ])
  await chat(url(), [system('You answer briefly.'), ...turns.flat(), user('And now?')])
  return lastMessages()
}
const rolling: StackOptions = { sim: { maxModelLen: 2048 }, settings: { overflow: 'rollover', freeze_at: 0 } }

const autoWindows = async () =>
  (await rest<PageJson<WindowJson>>(url(), 'GET', '/windows?tag=auto')).data.filter(({ state }) => state === 'frozen')

/** Freezes a session automatically. Returns how many automatic windows are left once cwm has trimmed them: a stop waits for that. */
async function autoFrozen(session: string, history: ChatMessage[] = []): Promise<number> {
  history.push(user(`${session} ${history.length}: ${prose(200, session)}`))
  const { reply } = await chat(url(), history, { headers: { 'x-cwm-session': session } })
  history.push(reply)
  await until('it is frozen', async () =>
    (await autoWindows()).some(({ session_id, messages }) => session_id === session && messages === history.length),
  )
  await stack.restart()
  return (await autoWindows()).length
}
const autoFreezing = { freeze_at: 0.1, freeze_cooldown_ms: 0, drain_ms: 10_000 }
const growing: ChatMessage[] = []

const cases: Readonly<Record<ReloadableSetting, Case | string>> = {
  upstream: 'test/e2e/fleet/reload.test.ts “adds an engine”',
  upstream_api_key: {
    start: { settings: { upstream_api_key: 'sk-engine-one-00' } },
    set: { upstream_api_key: 'sk-engine-two-00' },
    observe: async () => {
      await say()
      return sentChats()
        .at(-1)
        ?.rawHeaders.find((header) => header.startsWith('Bearer'))
    },
    before: 'Bearer sk-engine-one-00',
    after: 'Bearer sk-engine-two-00',
  },
  operator_key: {
    start: { settings: { operator_key: 'operator-one-0123' } },
    set: { operator_key: 'operator-two-0123' },
    observe: () =>
      Promise.all(
        ['one', 'two'].map((n) => statusOf(call(url(), 'GET', '/tenants', undefined, bearer(`operator-${n}-0123`)))),
      ),
    before: [200, 401],
    after: [401, 200],
  },
  tenants: {
    start: { settings: { tenants: tenant('sk-acme-one') } },
    set: { tenants: tenant('sk-acme-two') },
    observe: () => Promise.all(['one', 'two'].map((n) => statusOf(say(bearer(`sk-acme-${n}`))))),
    before: [200, 401],
    after: [401, 200],
  },
  any_key: {
    start: { settings: { host: '0.0.0.0', tenants: tenant('sk-acme-one') } },
    set: { tenants: undefined, any_key: true },
    observe: () => statusOf(say(bearer('sk-of-anybody'))),
    before: 401,
    after: 200,
  },
  max_in_flight: {
    start: { settings: { max_in_flight: 1, queue_ms: 0 } },
    set: { max_in_flight: 2 },
    observe: () => acceptedOf(2, say),
    before: 1,
    after: 2,
  },
  requests_per_minute: {
    set: { requests_per_minute: 1 },
    observe: async () => [await statusOf(say()), await statusOf(say())],
    before: [200, 200],
    after: [200, 429],
  },
  tokens_per_minute: {
    set: { tokens_per_minute: 10 },
    observe: () => statusOf(say({}, { max_tokens: 50 })),
    before: 200,
    after: 400,
  },
  queue_ms: {
    start: { settings: { max_in_flight: 1, queue_ms: 0 } },
    set: { queue_ms: 10_000 },
    observe: () => acceptedOf(2, say),
    before: 1,
    after: 2,
  },
  max_queued: {
    start: { settings: { max_in_flight: 1, max_queued: 1 } },
    set: { max_queued: 2 },
    observe: () => acceptedOf(3, say),
    before: 2,
    after: 3,
  },
  max_preflights: {
    start: { settings: { max_preflights: 1 } },
    set: { max_preflights: 2 },
    observe: () => acceptedOf(2, () => ask(url(), CHAT, { method: 'OPTIONS' })),
    before: 1,
    after: 2,
  },
  limits: {
    start: { settings: { limits: { 'sim-model': 512 } } },
    set: { limits: { 'sim-model': 1024 } },
    observe: async () => String((await say()).headers['x-cwm-context']).split('/')[1],
    before: '512',
    after: '1024',
  },
  log_level: 'test/e2e/reload-process.test.ts “changes the log level”',
  isolation: {
    set: { isolation: 'tenant' },
    observe: async () => {
      const salts: string[] = []
      for (const headers of [{ 'x-cwm-session': fresh() }, { 'x-cwm-session': fresh() }]) {
        await say(headers)
        salts.push(...saltsIn(lastBody()))
      }
      return new Set(salts).size
    },
    before: 2,
    after: 1,
  },
  allowed_fields: {
    set: { allowed_fields: ['priority'] },
    observe: () => statusOf(say({}, { priority: 1 })),
    before: 400,
    after: 200,
  },
  max_in_flight_per_tenant: {
    start: { settings: { max_in_flight_per_tenant: 1, queue_ms: 0 } },
    set: { max_in_flight_per_tenant: 2 },
    observe: () => acceptedOf(2, say),
    before: 1,
    after: 2,
  },
  max_sessions: {
    set: { max_sessions: 1 },
    observe: () => statusOf(say({ 'x-cwm-session': fresh() })),
    before: 200,
    after: 403,
  },
  max_windows: {
    set: { max_windows: 0 },
    observe: () => statusOf(putWindow()),
    before: 201,
    after: 403,
  },
  max_window_bytes: {
    set: { max_window_bytes: 10 },
    observe: () => statusOf(putWindow()),
    before: 201,
    after: 403,
  },
  max_pinned_tokens: {
    set: { max_pinned_tokens: 100 },
    observe: () => statusOf(putWindow()),
    before: 201,
    after: 422,
  },
  when_pins_full: {
    start: { settings: { max_pinned_tokens: 1_500 } },
    set: { when_pins_full: 'release' },
    observe: async () => [await statusOf(putWindow()), await statusOf(putWindow())].at(-1),
    before: 422,
    after: 201,
  },
  pin_ttl_ms: {
    set: { pin_ttl_ms: 60_000 },
    observe: async () => jsonOf<WindowJson>(await putWindow()).pin_until !== undefined,
    before: false,
    after: true,
  },
  kv_quota_gb: {
    start: { sim: { isolatedLru: true }, settings: { kv_quota_gb: 3 } },
    set: { kv_quota_gb: 5 },
    observe: async () => {
      await say({ 'x-cwm-session': fresh() })
      const quota = stack.sim.requests.all('lmcache').findLast(({ path }) => path.startsWith('/quota/'))
      return (JSON.parse(String(quota?.body)) as { limit_gb: number }).limit_gb
    },
    before: 3,
    after: 5,
  },
  overflow: {
    start: { sim: { maxModelLen: 1024 }, settings: { freeze_at: 0 } },
    set: { overflow: 'reject' },
    observe: () => statusOf(ask(url(), CHAT, { body: { model: 'sim-model', messages: [user(prose(465))] } })),
    before: 200,
    after: 400,
  },
  freeze_at: {
    start: { sim: { maxModelLen: 2048 }, settings: { freeze_at: 0 } },
    set: { freeze_at: 0.1 },
    observe: async () => {
      const { freeze_at } = await rest<NearLimitJson>(url(), 'GET', '/tenants/me/near-limit')
      return freeze_at === 0 ? 0 : await autoFrozen(fresh())
    },
    before: 0,
    after: 1,
  },
  rollover_to: {
    start: rolling,
    set: { rollover_to: 0.2 },
    observe: async () => (await rolledOver()).length > 12,
    before: true,
    after: false,
  },
  keep_first: {
    start: rolling,
    set: { keep_first: 1 },
    observe: async () => (await rolledOver()).some(({ content }) => content?.startsWith('Question 0 ')),
    before: false,
    after: true,
  },
  rollover_note: {
    start: rolling,
    set: { rollover_note: true },
    observe: async () => (await rolledOver())[0]?.content === 'You answer briefly.',
    before: true,
    after: false,
  },
  max_auto_windows_per_session: {
    start: { sim: { maxModelLen: 2048 }, settings: { ...autoFreezing, max_auto_windows_per_session: 1 } },
    set: { max_auto_windows_per_session: 2 },
    observe: () => autoFrozen('same', growing),
    before: 1,
    after: 2,
  },
  max_auto_windows: {
    start: { sim: { maxModelLen: 2048 }, settings: { ...autoFreezing, max_auto_windows: 1 } },
    set: { max_auto_windows: 2 },
    observe: () => autoFrozen(fresh()),
    before: 1,
    after: 2,
  },
}

afterEach(() => stack?.close())

describe('a reload', () => {
  const shownHere = reloadable.flatMap((name) => {
    const shown = cases[name]
    return typeof shown === 'string' ? [] : [[name, shown] as const]
  })

  it.each(shownHere)('changes %s', async (name, { start, set, observe, before, after }) => {
    stack = await startStack(start)
    expect(await observe()).toEqual(before)

    const { changed, needsRestart } = await stack.reload(set)

    expect([[...changed].sort(), needsRestart]).toEqual([Object.keys(set).sort(), []])
    expect(changed).toContain(name)
    expect(await observe()).toEqual(after)
  })
})
