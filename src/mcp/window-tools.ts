// MCP tools for windows: freeze, thaw, list, status, clone, delete.

import { z } from 'zod'
import type { DeletionJson } from '../wire/deletions.ts'
import { sortOrders, windowSorts } from '../wire/enums.ts'
import type { PageJson } from '../wire/lists.ts'
import type { ThawReceiptJson } from '../wire/receipts.ts'
import type { SessionJson } from '../wire/sessions.ts'
import type { CloneBody, FreezeBody, LabelsJson, ThawBody, WindowJson } from '../wire/windows.ts'
import { findSession } from './session.ts'
import { additive, destructive, readOnly, type Tool, tool } from './tool.ts'

const tags = z.array(z.string()).optional()
const text = z.string().optional()
const session = text.describe('Default: your own session, if you talk through cwm')
const limit = z.int().min(1).max(100).optional()
const LIST_LIMIT = 20

export const windowPath = (name: string) => `/cwm/v1/windows/${encodeURIComponent(name)}`

export const windowTools: readonly Tool[] = [
  tool({
    name: 'window_freeze',
    description: 'Save a session as a named window: messages and KV cache',
    input: z.strictObject({ session_id: session, window_name: z.string(), description: text, tags }),
    annotations: additive,
    run: async ({ session_id, window_name: name, description, tags }, call) => {
      const id = await findSession('window_freeze', session_id, call)
      const body: FreezeBody = { name, session_id: id, ...labels(description, tags) }
      return await call.progress(`freezing ${name}`, () => call.ask<WindowJson>('POST', '/cwm/v1/windows', body))
    },
  }),
  tool({
    name: 'window_thaw',
    description: 'Restore a window in a new session; returns how many tokens were restored',
    input: z.strictObject({
      window_name: z.string(),
      new_session_id: text,
      replace: z.boolean().optional().describe('Replace the context of a session that has turns'),
      continuation_prompt: text.describe('Message to send next'),
    }),
    annotations: additive,
    run: async ({ window_name: name, new_session_id, replace, continuation_prompt }, call) => {
      const body: ThawBody = {
        ...(new_session_id === undefined ? {} : { session_id: new_session_id }),
        ...(replace === undefined ? {} : { replace }),
      }
      const receipt = await call.progress(`thawing ${name}`, () =>
        call.ask<ThawReceiptJson>('POST', `${windowPath(name)}/thaw`, body),
      )
      const { session_id: id } = receipt
      // Only the agent can speak for its user, so it sends the turn itself.
      return {
        ...receipt,
        next: {
          send: continuation_prompt ?? 'only new messages: the messages of the window come before them',
          header: `x-cwm-session: ${id}`,
          base_url: `/cwm/s/${id}/v1`,
        },
      }
    },
  }),
  tool({
    name: 'window_list',
    description: 'List windows',
    input: z.strictObject({
      tags,
      model: text,
      session_id: text,
      search: text.describe('Text in the name'),
      sort_by: z.enum(windowSorts).optional(),
      sort_order: z.enum(sortOrders).optional(),
      limit,
      cursor: text,
    }),
    annotations: readOnly,
    run: async ({ tags = [], sort_by: sort, sort_order: order, limit = LIST_LIMIT, ...filters }, call) => {
      const query = new URLSearchParams(tags.map((tag): [string, string] => ['tag', tag]))
      for (const [name, value] of Object.entries({ ...filters, sort, order, limit })) {
        if (value !== undefined) query.append(name, String(value))
      }
      const page = await call.ask<PageJson<WindowJson>>('GET', `/cwm/v1/windows?${query}`)
      const { data, next_cursor } = page
      return { windows: data.map(summarize), ...(next_cursor === undefined ? {} : { next_cursor }) }
    },
  }),
  tool({
    name: 'window_status',
    description: 'Show a window and its receipt, or a session and how full it is',
    input: z.strictObject({ window_name: text, session_id: session }),
    annotations: readOnly,
    run: async ({ window_name: name, session_id }, call) => {
      if (name !== undefined) return await call.ask<WindowJson>('GET', windowPath(name))
      const id = await findSession('window_status', session_id, call)
      return await call.ask<SessionJson>('GET', `/cwm/v1/sessions/${encodeURIComponent(id)}`)
    },
  }),
  tool({
    name: 'window_clone',
    description: 'Clone a window, or its first messages, under a new name',
    input: z.strictObject({
      source_window: z.string(),
      new_window_name: z.string(),
      at: z.int().min(1).optional().describe('Number of messages to keep'),
      description: text,
      tags,
    }),
    annotations: additive,
    run: async ({ source_window: source, new_window_name: name, at, description, tags }, call) => {
      const body: CloneBody = { name, ...(at === undefined ? {} : { at }), ...labels(description, tags) }
      return await call.progress(`cloning ${source}`, () =>
        call.ask<WindowJson>('POST', `${windowPath(source)}/clone`, body),
      )
    },
  }),
  tool({
    name: 'window_delete',
    description:
      'Permanently delete a window and its KV; returns what is left. Sessions based on it (`base_of` in window_status) continue and keep its text',
    input: z.strictObject({
      window_name: z.string(),
      end_sessions: z.boolean().optional().describe('End the sessions on it too'),
    }),
    annotations: destructive,
    run: async ({ window_name: name, end_sessions }, call) => {
      const path = `${windowPath(name)}${end_sessions === true ? '?sessions=end' : ''}`
      return await call.progress(`deleting ${name}`, () => call.ask<DeletionJson>('DELETE', path))
    },
  }),
]

function labels(note: string | undefined, tags: string[] | undefined): LabelsJson {
  return { ...(note === undefined ? {} : { note }), ...(tags === undefined ? {} : { tags }) }
}

/** The fields that distinguish windows, in few tokens. */
function summarize({ name, state, tags, note, model, parent, session_id, created_at, receipt }: WindowJson) {
  return {
    name,
    state,
    ...(receipt === undefined
      ? {}
      : { tokens: receipt.tokens, restorable: receipt.restorable_tokens, stored: receipt.durability }),
    ...(tags === undefined || tags.length === 0 ? {} : { tags }),
    ...(note === undefined ? {} : { note }),
    ...(model === undefined ? {} : { model }),
    ...(parent === undefined ? {} : { parent }),
    ...(session_id === undefined ? {} : { session_id }),
    ...(created_at === undefined ? {} : { created_at }),
  }
}
