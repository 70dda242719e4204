// REST handlers that show the messages of a window, and those of a session's last turn.

import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { CwmError } from '../base/errors.ts'
import type { RetainedTurns } from '../sessions/retained.ts'
import type { SessionTracker } from '../sessions/tracker.ts'
import type { Windows } from '../windows/windows.ts'
import { messagesQuery, messagesSchema } from '../wire/messages.ts'
import type { Bindings, CallerOf } from './bindings.ts'
import type { ContentAccess } from './content-access.ts'
import type { AnswerHolds } from './hold-answers.ts'
import { freezableTurn } from './last-turn.ts'
import { readMessages } from './read-messages.ts'
import * as routes from './routes.ts'
import { requireSession } from './window-handlers.ts'

export interface MessageHandlerParts {
  readonly windows: Windows
  readonly sessions: SessionTracker
  readonly retained: RetainedTurns
  readonly access: ContentAccess
  readonly holds: Pick<AnswerHolds, 'add'>
}

const page = { 200: routes.json(messagesSchema, 'A page of messages'), ...routes.failures }

export const showWindowMessages = createRoute({
  method: 'get',
  path: '/cwm/v1/windows/{name}/messages',
  summary: 'Read or search the messages of a window',
  request: { params: routes.windowName, query: messagesQuery },
  responses: page,
})

export const showSessionMessages = createRoute({
  method: 'get',
  path: '/cwm/v1/sessions/{id}/messages',
  summary: "Read or search the messages of a session's last turn, as they were sent to the engine",
  request: { params: routes.sessionId, query: messagesQuery },
  responses: page,
})

export function mountMessages(app: OpenAPIHono<Bindings>, parts: MessageHandlerParts, callerOf: CallerOf): void {
  const { windows, sessions, retained, access, holds } = parts

  app.openapi(showWindowMessages, async (c) => {
    const caller = callerOf(c)
    const { name } = c.req.valid('param')
    const reading = { action: 'read', target: 'window', name } as const
    access.require(caller, reading)
    // Before the window is loaded, because its parsed messages take more than its page.
    const view = await windows.show(caller.tenant, name)
    holds.add(c.env, view.state === 'pending' ? 0 : view.bytes)
    const { prompt } = await windows.read(caller.tenant, name)
    const messages = readMessages(prompt, c.req.valid('query'))
    access.recordRead(caller, reading)
    return c.json({ of: 'window' as const, name, ...messages }, 200)
  })

  app.openapi(showSessionMessages, async (c) => {
    const caller = callerOf(c)
    const { id } = c.req.valid('param')
    const reading = { action: 'read', target: 'session', name: id } as const
    access.require(caller, reading)
    const { record } = await requireSession(sessions, caller.tenant, id)
    holds.add(c.env, retained.peek(caller.tenant, id)?.bodyBytes ?? 0)
    const turn = await freezableTurn(retained, record)
    if (turn === undefined) {
      const window =
        record.baseWindow === undefined ? '' : `; it is based on the window ${record.baseWindow}, which can be read`
      throw new CwmError('SESSION_EMPTY', `session ${id} has no retained turn since its last thaw${window}`, {
        param: 'session_id',
      })
    }
    const messages = readMessages(turn.prompt, c.req.valid('query'))
    access.recordRead(caller, reading)
    return c.json({ of: 'session' as const, name: id, ...messages }, 200)
  })
}
