// REST helpers: freezing windows, ending and deleting, and what LMCache still shows.

import type { Sim } from '../../src/sim/index.ts'
import type { DeletionJson } from '../../src/wire/deletions.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import { ask, type Got, jsonOf } from './client.ts'
import { chat, prose, user } from './conversation.ts'

type Headers = Record<string, string>

export const call = (url: string, method: string, path: string, body?: object, headers: Headers = {}): Promise<Got> =>
  ask(url, `/cwm/v1${path}`, { method, headers, ...(body === undefined ? {} : { body }) })

/** Calls REST and returns the JSON. Throws unless the status is a success. */
export async function rest<T>(
  url: string,
  method: string,
  path: string,
  body?: object,
  headers: Headers = {},
): Promise<T> {
  const got = await call(url, method, path, body, headers)
  if (got.status >= 300) throw new Error(`${method} ${path}: ${got.status} ${got.text}`)
  return jsonOf<T>(got)
}

export const deleteWindow = (url: string, name: string, headers?: Headers): Promise<DeletionJson> =>
  rest<DeletionJson>(url, 'DELETE', `/windows/${name}`, undefined, headers)

export const endSession = (url: string, id: string, headers?: Headers): Promise<DeletionJson> =>
  rest<DeletionJson>(url, 'DELETE', `/sessions/${id}`, undefined, headers)

/** A session with one turn of about three chunks, and a window frozen from it. */
export async function frozenSession(
  url: string,
  { session = 'ann', window = 'w', words = 700, headers = {} as Headers } = {},
): Promise<WindowJson> {
  await chat(url, [user(`${prose(words)}. The buoy is called Lomvi.`)], {
    headers: { 'x-cwm-session': session, ...headers },
  })
  return await rest<WindowJson>(url, 'POST', '/windows', { name: window, session_id: session }, headers)
}

/** Placements that the directory shows, of all salts. */
export async function placements(sim: Sim): Promise<number> {
  const { keys } = jsonOf<{ keys: readonly { readonly placements: readonly unknown[] }[] }>(
    await ask(sim.coordinatorUrl, '/directory/keys?limit=10000'),
  )
  return keys.reduce((sum, key) => sum + key.placements.length, 0)
}

/** Every salt that reached the engine. */
export function saltsSeen(sim: Sim): Set<string> {
  const bodies = sim.requests.all('engine').map(({ body }) => body?.toString('utf8') ?? '')
  return new Set(
    bodies.flatMap((text) => [...text.matchAll(/"cache_salt":"([^"]+)"/g)].map(([, salt]) => String(salt))),
  )
}
