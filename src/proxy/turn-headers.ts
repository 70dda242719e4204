// The x-cwm-* headers of a turn's answer. Only `x-cwm-degraded` is set elsewhere (client-turn.ts), because refused turns have it too.

import { contextHeader } from '../identity/control-headers.ts'
import type { AnswerFacts, RunningTurn } from '../turn/running-turn.ts'
import type { Turn } from '../turn/turn.ts'
import type { ClientResponse } from './client-response.ts'

/** Sets what is known when the turn is dispatched. A stream has only these, because its headers go out before its answer is known. */
export function setTurnHeaders(client: ClientResponse, { turn, freezes }: RunningTurn): void {
  const { session, base, restored, prompt } = turn
  const { record } = session
  client.set('x-cwm-session', record.id)
  client.set('x-cwm-window', base?.record.name)
  if (restored !== undefined && restored !== null) client.set('x-cwm-restored', String(restored))
  if (freezes) client.promise('x-cwm-freeze', 'pending')
  client.set('x-cwm-context', contextHeader(record))
  client.set('x-cwm-rollover', prompt.rollover?.window)
  // A stream's headers were sent before this was known, so the next answer reports it.
  if (record.truncation?.streamed === true) client.set('x-cwm-truncated', 'context; turn=previous')
}

/** Sets what the whole answer adds. It only reaches clients of JSON answers, which are held until they are whole. */
export function updateTurnHeaders(client: ClientResponse, { session }: Turn, { usage, truncated }: AnswerFacts): void {
  if (truncated) client.set('x-cwm-truncated', 'context')
  if (usage !== undefined) client.set('x-cwm-context', contextHeader(session.record))
}
