// Which REST operations take a slot of admission: those that reach an engine or the KV layer while their client waits. MCP and the
// dashboard call REST, so this holds for them too: the operation takes the slot, not the tool call or the page around it.

import type { Context } from 'hono'
import { matchedRoutes } from 'hono/route'
import { isObject, type JsonObject } from '../base/json.ts'
import type { Bindings } from './bindings.ts'

/** `until answered`: its answer is a stream, which outlives the handler, so the slot is released when the response closes. */
export type Slot = 'none' | 'while handled' | 'until answered'

type Rule = Slot | ((body: JsonObject) => boolean)

const always: Rule = 'while handled'

/** By method and path of the route: which slot a request with this body takes. */
export const slotRules: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['PUT /cwm/v1/windows/:name', always],
  // The engine counts the parts. Their freezes take background slots.
  ['PUT /cwm/v1/libraries/:name', always],
  ['POST /cwm/v1/windows/import', always],
  ['POST /cwm/v1/windows/:name/thaw', always],
  ['POST /cwm/v1/windows/:name/clone', always],
  ['POST /cwm/v1/windows/:name/ask', 'until answered'],
  // Each window's answer and each reduction takes its own slot (`src/ask/branch-slot.ts`).
  ['POST /cwm/v1/ask', 'none'],
  // A freeze that nobody waits for takes a background slot.
  ['POST /cwm/v1/windows', ({ wait }) => wait !== false],
  // Pins are changed one after the other.
  ['POST /cwm/v1/windows/bulk', ({ action }) => action === 'pin' || action === 'unpin'],
  // A change of labels only uses the store.
  ['PATCH /cwm/v1/windows/:name', ({ pinned }) => pinned !== undefined],
])

/**
 * The other operations that change something. Deletes are orders: each is executed in a background slot (`src/windows/order-runner.ts`), so
 * that they succeed while all other slots are taken. The rest only uses the store. So do all operations that read.
 */
export const withoutSlot: ReadonlySet<string> = new Set([
  'DELETE /cwm/v1/windows/:name',
  'DELETE /cwm/v1/libraries/:name',
  'DELETE /cwm/v1/sessions/:id',
  'DELETE /cwm/v1/tenants/me',
  'POST /cwm/v1/keys',
  'DELETE /cwm/v1/keys/:id',
  'POST /cwm/v1/reload',
  'POST /cwm/v1/engines/drain',
  'POST /cwm/v1/engines/resume',
  'POST /cwm/v1/sessions/match',
  'PUT /cwm/v1/tenants/me/near-limit',
])

/** The slot that this request takes. Its body has been read. */
export async function takesSlot(c: Context<Bindings>): Promise<Slot> {
  for (const { method, path } of matchedRoutes(c)) {
    const rule = slotRules.get(`${method} ${path}`)
    if (rule === undefined) continue
    if (typeof rule === 'string') return rule
    const body: unknown = await c.req.json().catch(() => undefined)
    return rule(isObject(body) ? body : {}) ? 'while handled' : 'none'
  }
  return 'none'
}
