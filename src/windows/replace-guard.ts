// Protects a session that has turns of its own from a thaw by REST, and so by the CLI, the dashboard, and MCP: replacing its context takes
// `replace`. A turn that names a window needs no confirmation, because the client itself asks for it.

import { CwmError } from '../base/errors.ts'
import type { SessionRecord, WindowRecord } from '../base/records.ts'
import type { OperationOptions } from './operation-audit.ts'

export interface ThawOptions extends OperationOptions {
  /** Reject a session that already has turns, instead of replacing its context. */
  readonly keepTurns?: boolean
}

/**
 * Throws `SESSION_HAS_TURNS` if thawing the window would replace the context of the session's own turns. Thawing the same window again
 * replaces nothing.
 */
export function checkKeepsContext(session: SessionRecord, window: WindowRecord): void {
  const { id, turns, usage, baseWindow, baseWindowId } = session
  if (turns === 0 || baseWindowId === window.id) return
  const held = [
    `${turns} ${turns === 1 ? 'turn' : 'turns'}`,
    ...(usage === undefined ? [] : [`${usage.totalTokens} tokens`]),
    ...(baseWindow === undefined ? [] : [`base window ${baseWindow}`]),
  ]
  throw new CwmError(
    'SESSION_HAS_TURNS',
    `session ${id} would lose its context (${held.join(', ')}): its next turn would start from window ${window.name}. ` +
      'Nothing was changed. Thaw into a new session (leave the session id out), or replace this one with `"replace": true` (CLI: --replace)',
    { param: 'session_id' },
  )
}

/** The error for a thaw whose session changed while it ran. */
export function sessionChanged(): CwmError {
  return new CwmError(
    'SESSION_CHANGED',
    'the session ended, or another window was thawed into it, during this thaw; send the request again',
    { param: 'session_id' },
  )
}
