// Questions to many windows: making the windows, asking them, and reading the events.

import type { ManyAnswerJson, ManyAskBody, ManyAskEvents } from '../../src/wire/many-asks.ts'
import { ask, type Got } from './client.ts'
import { prose } from './conversation.ts'
import { rest } from './rest.ts'

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
