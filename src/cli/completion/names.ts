// Names for completion, from a running cwm. Whatever fails, there are none: a Tab must neither print errors nor take long.

import type { KeyJson } from '../../wire/keys.ts'
import type { PageJson } from '../../wire/lists.ts'
import type { SessionJson } from '../../wire/sessions.ts'
import type { WindowJson } from '../../wire/windows.ts'
import { type ConnectionOptions, connect, type Rest } from '../client/rest.ts'
import { formatCount, formatPercent, pluralize, stripControlCharacters } from '../terminal/text.ts'

/** How long a Tab waits for cwm. */
const TIMEOUT_MS = 700
const MAX_NAMES = 100

export interface Candidate {
  readonly value: string
  readonly description: string
}

export const nameKinds = ['windows', 'sessions', 'libraries', 'engines', 'keys', 'tenants', 'models', 'tags'] as const
export type NameKind = (typeof nameKinds)[number]

type Read = (
  get: <T>(path: string, query?: Record<string, string | number>) => Promise<T>,
  typed: string,
  tenant: string | undefined,
) => Promise<Candidate[]>

const search = (typed: string) => ({ limit: MAX_NAMES, ...(typed === '' ? {} : { search: typed.slice(0, 128) }) })

const readers: Readonly<Record<NameKind, Read>> = {
  windows: async (get, typed) =>
    (await get<PageJson<WindowJson>>('/cwm/v1/windows', search(typed))).data.map(({ name, state, receipt }) => ({
      value: name,
      description: receipt === undefined ? state : pluralize(receipt.tokens, 'token'),
    })),
  sessions: async (get, typed) =>
    (await get<PageJson<SessionJson>>('/cwm/v1/sessions', search(typed))).data.map(({ id, usage, limit }) => ({
      value: id,
      description:
        usage === undefined || limit === undefined
          ? 'session'
          : `${formatPercent(usage.total_tokens, limit)} of ${formatCount(limit)} tokens`,
    })),
  libraries: async (get) =>
    (await get<PageJson<{ name: string; windows: number }>>('/cwm/v1/libraries', { limit: MAX_NAMES })).data.map(
      ({ name, windows }) => ({ value: name, description: pluralize(windows, 'window') }),
    ),
  engines: async (get) =>
    (await get<PageJson<{ id: string; state: string }>>('/cwm/v1/engines')).data.map(({ id, state }) => ({
      value: id,
      description: state,
    })),
  // Keys of the settings file have no id, and cannot be revoked here.
  keys: async (get, _, tenant) =>
    (
      await get<PageJson<KeyJson>>('/cwm/v1/keys', { limit: 1_000, ...(tenant === undefined ? {} : { tenant }) })
    ).data.flatMap(({ id, tenant, name }) => (id === null ? [] : { value: id, description: `${name} of ${tenant}` })),
  tenants: async (get) =>
    (await get<PageJson<{ id: string }>>('/cwm/v1/tenants', { limit: 1_000 })).data.map(({ id }) => ({
      value: id,
      description: 'tenant',
    })),
  models: async (get) =>
    (await get<PageJson<{ id: string }>>('/v1/models')).data.map(({ id }) => ({ value: id, description: 'model' })),
  tags: async (get) => {
    const { data } = await get<PageJson<WindowJson>>('/cwm/v1/windows', { limit: 1_000 })
    const tags = new Set(data.flatMap(({ tags = [] }) => tags))
    return [...tags].sort().map((value) => ({ value, description: 'tag' }))
  },
}

/** Only the operator may list them, and not for a tenant. */
const ofOperator: ReadonlySet<NameKind> = new Set(['engines', 'keys', 'tenants'])

/** The names that begin with what was typed. Never rejects. */
export async function namesOf(
  kind: NameKind,
  typed: string,
  options: ConnectionOptions,
  environment: NodeJS.ProcessEnv,
): Promise<readonly Candidate[]> {
  try {
    const { tenant, ...operator } = options
    const rest: Rest = await connect(ofOperator.has(kind) ? operator : options, environment)
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const all = await readers[kind]((path, query = {}) => rest.json(path, { query, signal }), typed, tenant)
    // A name with control characters or line breaks cannot be put on a command line.
    return all.filter(
      ({ value }) => value.startsWith(typed) && !/\s/.test(value) && value === stripControlCharacters(value),
    )
  } catch {
    return []
  }
}
