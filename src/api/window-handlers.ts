// REST handlers for windows: they translate between REST types and the functions of windows/, and contain no rules.

import type { OpenAPIHono } from '@hono/zod-openapi'
import type { BackgroundSlots } from '../admission/background.ts'
import { CwmError } from '../base/errors.ts'
import { isSessionId, randomId, sessionIdRule } from '../base/ids.ts'
import type { JsonObject } from '../base/json.ts'
import type { Prompt, Sharing, WindowRecord } from '../base/records.ts'
import { messageRulesOf } from '../dialects/index.ts'
import type { RetainedTurns } from '../sessions/retained.ts'
import type { SessionTracker } from '../sessions/tracker.ts'
import type { WindowQuery } from '../store/store-values.ts'
import { cloneWindow, createWindow, importWindow } from '../windows/create-window.ts'
import type { Deletions } from '../windows/deletions.ts'
import { exportWindow, readExport } from '../windows/export.ts'
import type { Labels } from '../windows/new-window.ts'
import type { Windows, WindowView } from '../windows/windows.ts'
import { type LabelsJson, labelsSchema, type WindowListQuery } from '../wire/windows.ts'
import type { Bindings, CallerOf } from './bindings.ts'
import { readContent } from './content.ts'
import type { ContentAccess } from './content-access.ts'
import type { AnswerHolds } from './hold-answers.ts'
import { freezableTurn } from './last-turn.ts'
import * as routes from './routes.ts'
import { countedPageToWire, deletionToWire, dependentsToWire, thawReceiptToWire, windowToWire } from './to-wire.ts'

/** How much longer a window's file is than what is stored of it: ids are base64 there. */
const EXPORT_RATIO = 1.5

export interface WindowHandlerParts {
  readonly holds: Pick<AnswerHolds, 'add'>
  readonly access: ContentAccess
  readonly windows: Windows
  readonly freezeSlots: Pick<BackgroundSlots, 'claim'>
  readonly deletions: Deletions
  readonly sessions: SessionTracker
  readonly retained: RetainedTurns
  /** Starts the lineage of a window that does not come from a session. */
  readonly beginLineage: (tenant: string) => Promise<{ readonly lineage: string; readonly shared?: Sharing }>
}

export function mountWindows(app: OpenAPIHono<Bindings>, parts: WindowHandlerParts, callerOf: CallerOf): void {
  const { access, windows, freezeSlots, deletions, sessions, retained } = parts

  app.openapi(routes.listWindows, async (c) => {
    const { tenant } = callerOf(c)
    const { count, ...wanted } = c.req.valid('query')
    const query = queryFromWire(wanted)
    const [page, counted] = await Promise.all([
      windows.list(tenant, query),
      count === 'true' ? windows.count(tenant, query) : {},
    ])
    return c.json(countedPageToWire(page.items.map(windowToWire), page, counted), 200)
  })

  app.openapi(routes.showWindow, async (c) => {
    const { name } = c.req.valid('param')
    const { wait_ms } = c.req.valid('query')
    const { tenant } = callerOf(c)
    const view = wait_ms === 0 ? await windows.show(tenant, name) : await windows.showSettled(tenant, name, wait_ms)
    const dependents = view.state === 'pending' ? undefined : await windows.sessionsOn(view)
    return c.json({ ...windowToWire(view), ...(dependents && { base_of: dependentsToWire(dependents) }) }, 200)
  })

  app.openapi(routes.freezeWindow, async (c) => {
    const { tenant, sharer, operation } = callerOf(c)
    const { name, session_id, wait, ...labels } = c.req.valid('json')
    const session = await requireSession(sessions, tenant, session_id)
    const turn = await freezableTurn(retained, session.record)
    if (turn === undefined) {
      throw new CwmError(
        'SESSION_EMPTY',
        `session ${session_id} has no retained turn since its last thaw; send its next turn with the header x-cwm-freeze: ${name}`,
        { param: 'session_id' },
      )
    }
    const { prompt, replyAt, promptTokens, clientSalt, lineage, parent } = turn
    // Before the name is reserved, so that a freeze that finds no place in the queue leaves nothing behind.
    const claim = wait ? undefined : freezeSlots.claim(sharer)
    const reservation = await windows.reserve(tenant, name).catch((thrown: unknown) => {
      claim?.release()
      throw thrown
    })
    const request = {
      session,
      name,
      prompt,
      replyAt,
      promptTokens,
      clientSalt,
      lineage,
      parent,
      ...labelsFromWire(labels),
    }
    if (claim !== undefined) {
      void windows.freezeInBackground(request, reservation, operation, claim)
      return c.json(windowToWire(await windows.show(tenant, name)), 202)
    }
    return c.json(windowToWire(await windows.freeze(request, reservation, operation)), 201)
  })

  app.openapi(routes.changeWindow, async (c) => {
    const { tenant, operation } = callerOf(c)
    const { pinned, ...labels } = c.req.valid('json')
    const change = { ...labelsFromWire(labels), ...(pinned === undefined ? {} : { pinned }) }
    return c.json(windowToWire(await windows.update(tenant, c.req.valid('param').name, change, operation)), 200)
  })

  app.openapi(routes.thawWindow, async (c) => {
    const { tenant, sessionOwner, operation } = callerOf(c)
    const { name } = c.req.valid('param')
    const { session_id, to, replace } = c.req.valid('json')
    const { signal } = c.req.raw
    if (to === 'l1') {
      const { foundChunks, totalChunks, ms, warnings } = await windows.prefetch(tenant, name, { ...operation, signal })
      return c.json(
        { window: name, to, found_chunks: foundChunks, total_chunks: totalChunks, ms, warnings: [...warnings] },
        200,
      )
    }
    if (session_id !== undefined && !isSessionId(session_id)) {
      throw new CwmError('INVALID_FIELD', `a session id must be ${sessionIdRule}`, { param: 'session_id' })
    }
    const base = await windows.requireFrozen(tenant, name, signal)
    const session = await sessions.named(sessionOwner, session_id ?? `s-${randomId()}`)
    const receipt = await windows.thaw(session, base, { ...operation, signal, keepTurns: !replace })
    return c.json(thawReceiptToWire(receipt), 200)
  })

  app.openapi(routes.cloneWindow, async (c) => {
    const { tenant, operation } = callerOf(c)
    const { name, at, ...labels } = c.req.valid('json')
    const request = { tenant, source: c.req.valid('param').name, name, at, ...labelsFromWire(labels) }
    return c.json(windowToWire(requireFrozenWindow(await cloneWindow(windows, request, operation))), 201)
  })

  app.openapi(routes.createWindow, async (c) => {
    const { tenant, operation, policy } = callerOf(c)
    const { name } = c.req.valid('param')
    const { tags, note, ...content } = c.req.valid('json')
    const { prompt, clientSalt } = readContent(content as JsonObject, policy)
    const same = await windows.findSame(tenant, name, prompt)
    if (same !== undefined) return c.json(windowToWire(same), 200)
    const { lineage, shared } = await parts.beginLineage(tenant)
    const request = { tenant, name, prompt, clientSalt, lineage, shared, ...labelsFromWire({ tags, note }) }
    return c.json(windowToWire(requireFrozenWindow(await createWindow(windows, request, operation))), 201)
  })

  app.openapi(routes.exportWindow, async (c) => {
    const caller = callerOf(c)
    const { tenant, operation } = caller
    const { name } = c.req.valid('param')
    access.require(caller, { action: 'export', target: 'window', name })
    // Reserved before the window is loaded, because parsing and encoding it take several times its size. `export` reports and audits a missing
    // window.
    const bytes = await windows.show(tenant, name).then(bytesOf, () => 0)
    parts.holds.add(c.env, Math.ceil(bytes * EXPORT_RATIO))
    c.set('isCounted', true)
    const file = exportWindow(await windows.export(tenant, name, operation))
    const disposition = `attachment; filename="${name}.cwm.json"`
    return c.json(file as never, 200, { 'content-disposition': disposition })
  })

  app.openapi(routes.importWindow, async (c) => {
    const { tenant, operation, policy } = callerOf(c)
    const body = c.req.valid('json') as JsonObject
    const given = readExport(body)
    // Content that is forbidden in a chat is forbidden in a file too.
    const { prompt } = readContent({ ...given.prompt.shaping, ...contentOf(given.prompt) }, policy)
    const file = { ...given, prompt, ...labelsOf(given) }
    const { lineage, shared } = await parts.beginLineage(tenant)
    const name = c.req.valid('query').name ?? file.name
    const { record, drift } = await importWindow(windows, { tenant, name, file, lineage, shared }, operation)
    return c.json({ window: windowToWire(requireFrozenWindow(record)), drift }, 201)
  })

  app.openapi(routes.deleteWindow, async (c) => {
    const { tenant, operation } = callerOf(c)
    const [{ name }, { sessions: fate }] = [c.req.valid('param'), c.req.valid('query')]
    return c.json(deletionToWire(await deletions.deleteWindow(tenant, name, 'asked', operation.actor, fate)), 200)
  })
}

function bytesOf(view: WindowView): number {
  return view.state === 'pending' ? 0 : view.bytes
}

function contentOf({ dialect, model, messages }: Prompt) {
  return { dialect, model, [messageRulesOf(dialect).messagesField]: messages }
}

/** Throws `WINDOW_FAILED` unless the window is frozen. The caller has the content, so it can try again under the same name. */
function requireFrozenWindow(record: WindowRecord): WindowRecord {
  if (record.state === 'frozen') return record
  throw new CwmError('WINDOW_FAILED', `window ${record.name} could not be created: ${record.reason ?? record.state}`, {
    param: 'name',
  })
}

/** Validates labels from a file, which may come from anywhere. Throws `INVALID_IMPORT`. */
function labelsOf({ tags, note }: Labels): Labels {
  const read = labelsSchema.safeParse({ tags, note })
  if (read.success) return labelsFromWire(read.data)
  const [issue] = read.error.issues
  throw new CwmError('INVALID_IMPORT', `\`${issue?.path.join('.')}\`: ${issue?.message}`, {
    param: String(issue?.path[0] ?? 'tags'),
  })
}

/** Returns the session with this id. Throws `SESSION_NOT_FOUND`. */
export async function requireSession(sessions: SessionTracker, tenant: string, id: string) {
  const session = isSessionId(id) ? await sessions.find(tenant, id) : undefined
  if (session !== undefined) return session
  throw new CwmError('SESSION_NOT_FOUND', `there is no session ${isSessionId(id) ? id : 'with this id'}`, {
    param: 'session_id',
  })
}

function labelsFromWire({ tags, note }: LabelsJson): Labels {
  return { ...(tags === undefined ? {} : { tags }), ...(note === undefined ? {} : { note }) }
}

function queryFromWire(query: Omit<WindowListQuery, 'count'>): WindowQuery {
  const {
    limit,
    cursor,
    tag,
    model,
    state,
    pin,
    session_id,
    parent,
    search,
    created_from,
    created_before,
    sort,
    order,
  } = query
  return {
    limit,
    sort,
    order,
    ...(cursor === undefined ? {} : { cursor }),
    ...(tag === undefined ? {} : { tags: tag }),
    ...(model === undefined ? {} : { model }),
    ...(state === undefined ? {} : { state }),
    ...(pin === undefined ? {} : { pin }),
    ...(session_id === undefined ? {} : { sessionId: session_id }),
    ...(parent === undefined ? {} : { parent }),
    ...(search === undefined ? {} : { text: search }),
    ...(created_from === undefined ? {} : { createdFrom: Date.parse(created_from) }),
    ...(created_before === undefined ? {} : { createdBefore: Date.parse(created_before) }),
  }
}
