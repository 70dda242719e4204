// Windows about to be created: the request, the resulting record, and why it may not be stored.

import type { BackgroundClaim } from '../admission/background-claim.ts'
import { CwmError } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import type { Prompt, WindowOrigin, WindowRecord } from '../base/records.ts'
import type { LiveSession } from '../sessions/live-session.ts'
import type { ReserveOutcome } from '../store/store-values.ts'
import type { TurnPrompt, WindowParts } from './parts.ts'

/** Client-supplied labels, for people and lists. cwm does not interpret them. */
export interface Labels {
  readonly tags?: readonly string[]
  readonly note?: string
}

/** What may change after the freeze. */
export interface WindowUpdate extends Labels {
  /** Whether the KV layer holds its chunks. */
  readonly pinned?: boolean
}

export interface FreezeRequest extends TurnPrompt, Labels {
  readonly session: LiveSession
  readonly name: string
  readonly clientSalt: string | undefined
  /** The lineage of the turn that is frozen. */
  readonly lineage: string
  readonly parent: string | undefined
}

/** A window to be created: where it comes from and what it shares. */
export interface NewWindow extends TurnPrompt, Labels {
  readonly tenant: string
  readonly origin: WindowOrigin
  readonly lineage: string
  readonly shared: WindowRecord['shared']
  readonly sessionId: string | undefined
  readonly parent: string | undefined
  readonly clientSalt: string | undefined
}

/** A freeze that nobody waits for: it is recorded at once, and verified in its own slot. */
export interface BackgroundFreeze {
  /** The slot or its place in the queue; called once the messages are stored. */
  readonly claim: () => BackgroundClaim
  /** Called once the messages are stored, whether or not the rest succeeds. */
  readonly onRecorded?: () => void
}

/** A freeze that cannot begin: the turn cannot be frozen, or the queue of background freezes is full. */
export interface RefusedFreeze {
  readonly session: LiveSession
  readonly model: string
  readonly dialect: WindowRecord['dialect']
  readonly reason: string
}

/** The record of a window that is about to be frozen. */
export function newRecord(
  { kvEpoch, now }: Pick<WindowParts, 'kvEpoch' | 'now'>,
  wanted: NewWindow,
  name: string,
  bytes: number,
): WindowRecord {
  const {
    tenant,
    origin,
    sessionId,
    lineage,
    shared,
    parent,
    prompt,
    clientSalt,
    replyAt,
    promptTokens,
    textFrom,
    note,
  } = wanted
  return {
    tenant,
    name,
    id: randomId(),
    state: 'freezing',
    origin,
    ...(sessionId === undefined ? {} : { sessionId }),
    lineage,
    ...(shared === undefined ? {} : { shared }),
    ...(parent === undefined ? {} : { parent }),
    tags: sortedTags(wanted.tags ?? []),
    ...(note === undefined ? {} : { note }),
    dialect: prompt.dialect,
    model: prompt.model,
    ...(clientSalt === undefined ? {} : { clientSalt }),
    kvEpoch,
    messageCount: prompt.messages.length,
    replyAt,
    ...(promptTokens === undefined ? {} : { promptTokens }),
    ...(textFrom === undefined ? {} : { textFrom }),
    bytes,
    createdAt: now(),
    pin: 'none',
  }
}

/** A window that could not be frozen, without content: its record says why. */
export function refusedWindow(
  parts: Pick<WindowParts, 'kvEpoch' | 'now'>,
  { session, model, dialect, reason }: RefusedFreeze,
  name: string,
): { readonly record: WindowRecord; readonly prompt: Prompt } {
  const { tenant, id: sessionId, lineage, shared } = session.record
  const prompt = { dialect, model, messages: [], shaping: {} }
  const nothing = { prompt, replyAt: 0, promptTokens: undefined, parent: undefined, clientSalt: undefined }
  const wanted = { ...nothing, tenant, origin: 'session', sessionId, lineage, shared } as const
  return { record: { ...newRecord(parts, wanted, name, 0), state: 'failed', reason }, prompt }
}

export function sortedTags(tags: readonly string[]): readonly string[] {
  return [...new Set(tags)].sort()
}

/** The client's error when a name or a window could not be stored. */
export function notStored(outcome: Exclude<ReserveOutcome, 'stored'>, name: string): CwmError {
  switch (outcome) {
    case 'taken':
      return nameTaken(name)
    case 'retired':
      return new CwmError('SESSION_NOT_FOUND', 'the session ended before the freeze; nothing was frozen', {
        param: 'name',
      })
    case 'too_many':
      return new CwmError(
        'QUOTA_EXCEEDED',
        'this tenant has reached its window limit (setting max_windows); delete some windows',
        {
          param: 'name',
        },
      )
    case 'too_large':
      return new CwmError(
        'QUOTA_EXCEEDED',
        "the window exceeds this tenant's storage limit (setting max_window_bytes); delete some windows",
        { param: 'name' },
      )
  }
}

export function nameTaken(name: string): CwmError {
  return new CwmError('WINDOW_NAME_TAKEN', `window ${name} already exists; choose another name`, {
    param: 'name',
  })
}
