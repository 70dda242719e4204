// Questions to many windows: making the windows, asking them, and reading the events.

import type { ManyAnswerJson, ManyAskBody, ManyAskEvents } from '../../src/wire/many-asks.ts'
import { ask, type Got, jsonOf } from './client.ts'
import { prose } from './conversation.ts'
import { until } from './deadline.ts'
import { metricOf } from './departing-client.ts'
import { rest } from './rest.ts'
import type { Stack } from './stack.ts'
import { pinsHeld } from './windows.ts'

export interface AskEventSeen<K extends keyof ManyAskEvents = keyof ManyAskEvents> {
  readonly kind: K
  readonly data: ManyAskEvents[K]
}

/** A window of given text, tagged. Each has a lineage of its own. */
export async function documentWindow(
  url: string,
  name: string,
  { text = `${prose(400, name)}. The harbor of ${name} is called Port-${name}.`, tags = ['law'], headers = {} } = {},
): Promise<void> {
  await rest(url, 'PUT', `/windows/${name}`, { model: 'sim-model', document: text, tags }, headers)
}

/** The whole answer as JSON. */
export const askedMany = (url: string, body: ManyAskBody, headers = {}): Promise<ManyAnswerJson> =>
  rest<ManyAnswerJson>(url, 'POST', '/ask', { ...body, stream: false }, headers)

/** The events of a streamed answer. */
export function eventsIn({ text }: Pick<Got, 'text'>): AskEventSeen[] {
  return [...text.matchAll(/event: (\w+)\ndata: (.*)\n\n/g)].map(([, kind, data]) => ({
    kind: kind as keyof ManyAskEvents,
    data: JSON.parse(data ?? '') as ManyAskEvents[keyof ManyAskEvents],
  }))
}

export const streamedMany = (
  url: string,
  body: ManyAskBody,
  options: {
    readonly headers?: Record<string, string>
    readonly signal?: AbortSignal
    readonly onText?: (text: string) => void
  } = {},
): Promise<Got> => ask(url, '/cwm/v1/ask', { body, ...options })

export interface Leftovers {
  readonly sessions: number
  readonly pins: number
  readonly slots: number
  readonly queued: number
  readonly windowsInUse: number
  /** Requests that the engine works on. */
  readonly engine: number
}

/** What questions could leave behind, apart from KV. */
export async function leftovers({ url, sim }: Pick<Stack, 'url' | 'sim'>): Promise<Leftovers> {
  const { data } = await rest<{ data: object[] }>(url, 'GET', '/sessions')
  const { server_load: engine } = jsonOf<{ server_load: number }>(await ask(sim.engineUrl, '/load'))
  return {
    sessions: data.length,
    pins: await pinsHeld(sim),
    slots: await metricOf(url, 'cwm_slots_in_use'),
    queued: await metricOf(url, 'cwm_requests_queued'),
    windowsInUse: await metricOf(url, 'cwm_windows_in_use'),
    engine,
  }
}

/** Waits until everything that was in use is released again. */
export const nothingLeft = (stack: Stack, before: Leftovers): Promise<unknown> =>
  until('nothing is left of the question', async () => {
    const now = await leftovers(stack)
    return JSON.stringify(now) === JSON.stringify(before)
  })

/** The bodies of the questions, in the order in which they reached the engine. */
export function questionsAt(sim: Stack['sim']): readonly {
  readonly cache_salt: string
  readonly messages: readonly { readonly role: string; readonly content: string }[]
  readonly structured_outputs?: { readonly choice: readonly string[] }
}[] {
  return sim.requests
    .all('engine')
    .filter(({ path }) => path === '/v1/chat/completions')
    .map(({ body }) => JSON.parse(body.toString()))
}
