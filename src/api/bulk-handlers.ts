// One change to many windows. Each is the single operation with its own checks, audit entry and event, so nothing is atomic across them.
// It is REST, not a loop of the dashboard, because scripts have the same need, and because the bound on names, the slot of pins and the
// result for each window belong where the operations are.

import { createRoute, type OpenAPIHono, type z } from '@hono/zod-openapi'
import { CwmError, clientGone, toCwmError } from '../base/errors.ts'
import { closeSignal } from '../base/event-stream.ts'
import { inParallel } from '../base/in-parallel.ts'
import { openAiError } from '../dialects/errors.ts'
import type { Deletions } from '../windows/deletions.ts'
import type { Windows } from '../windows/windows.ts'
import { type BulkResultJson, bulkAnswerSchema, bulkBody } from '../wire/bulk.ts'
import type { ApiCaller, Bindings, CallerOf } from './bindings.ts'
import * as routes from './routes.ts'
import { deletionToWire, windowToWire } from './to-wire.ts'

export interface BulkHandlerParts {
  readonly windows: Windows
  readonly deletions: Deletions
}

/** Deletes wait for LMCache, in background slots of their own. Pins share one slot of the request. */
const DELETES_AT_ONCE = 4
/** As many as a window may have: `labels` in src/wire/windows.ts. */
const MAX_TAGS = 32

export const changeWindows = createRoute({
  method: 'post',
  path: '/cwm/v1/windows/bulk',
  summary: 'Tag, untag, pin, unpin, or delete several windows, with a result for each',
  request: { body: routes.body(bulkBody) },
  responses: {
    200: routes.json(bulkAnswerSchema, 'A result for each window, also if some failed'),
    ...routes.failures,
  },
})

type Change = z.output<typeof bulkBody>

export function mountBulk(app: OpenAPIHono<Bindings>, parts: BulkHandlerParts, callerOf: CallerOf): void {
  app.openapi(changeWindows, async (c) => {
    const caller = callerOf(c)
    const change = c.req.valid('json')
    const signal = closeSignal(c.env.outgoing)
    const names = [...new Set(change.names)]
    const results = await inParallel(names, change.action === 'delete' ? DELETES_AT_ONCE : 1, async (name) => {
      if (signal.aborted) throw clientGone('all windows were changed')
      return await changeOne(parts, caller, change, name)
    })
    const failed = results.filter(({ error }) => error !== null).length
    return c.json({ action: change.action, changed: results.length - failed, failed, results }, 200)
  })
}

async function changeOne(
  { windows, deletions }: BulkHandlerParts,
  { tenant, operation }: ApiCaller,
  { action, tags = [], sessions }: Change,
  name: string,
): Promise<BulkResultJson> {
  try {
    if (action === 'delete') {
      const deletion = await deletions.deleteWindow(tenant, name, 'asked', operation.actor, sessions)
      return { name, deletion: deletionToWire(deletion), error: null }
    }
    const change =
      action === 'tag' || action === 'untag'
        ? { tags: await changedTags(windows, tenant, name, action, tags) }
        : { pinned: action === 'pin' }
    return { name, window: windowToWire(await windows.update(tenant, name, change, operation)), error: null }
  } catch (thrown) {
    return { name, error: openAiError(toCwmError(thrown)).error }
  }
}

async function changedTags(
  windows: Pick<Windows, 'show'>,
  tenant: string,
  name: string,
  action: 'tag' | 'untag',
  tags: readonly string[],
): Promise<readonly string[]> {
  const view = await windows.show(tenant, name)
  if (view.state === 'pending')
    throw new CwmError('WINDOW_NOT_READY', `window ${name} is still being frozen`, { param: 'name' })
  if (action === 'untag') return view.tags.filter((tag) => !tags.includes(tag))
  const all = [...new Set([...view.tags, ...tags])]
  if (all.length <= MAX_TAGS) return all
  throw new CwmError('INVALID_FIELD', `window ${name} would have ${all.length} tags; a window has up to ${MAX_TAGS}`, {
    param: 'tags',
  })
}
