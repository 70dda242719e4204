// Records for the store contract: complete in what a store must keep, small in what it need not care about.

import type {
  AuditEntry,
  Boundary,
  DeletionRecord,
  SessionRecord,
  WindowContent,
  WindowRecord,
} from '../../base/records.ts'
import type { SaveOutcome, Store } from '../../base/store.ts'

/** Far ahead (2096), so that nothing in the samples is over by the wall clock, which a store may let things expire by. */
export const noon = 4_000_000_000_000

export function aSession(change: Partial<SessionRecord> = {}): SessionRecord {
  return {
    tenant: 'acme',
    id: 'session-1',
    named: true,
    lineage: 'lineage-1',
    createdAt: noon,
    lastTurnAt: noon,
    turns: 0,
    head: 0,
    spaces: [],
    ...change,
  }
}

export function aBoundary(change: Partial<Boundary> = {}): Boundary {
  return { digest: 'digest-1', tenant: 'acme', sessionId: 'session-1', expiresAt: noon + 60_000, ...change }
}

export function aWindow(change: Partial<WindowRecord> = {}): WindowRecord {
  return {
    tenant: 'acme',
    name: 'draft',
    id: 'window-1',
    state: 'freezing',
    origin: 'session',
    sessionId: 'session-1',
    lineage: 'lineage-1',
    dialect: 'chat',
    model: 'small',
    messageCount: 1,
    replyAt: 1,
    createdAt: noon,
    pin: 'none',
    tags: [],
    kvEpoch: 0,
    bytes: 100,
    ...change,
  }
}

export function someContent(text = 'hello', tokenIds: readonly number[] = [1, 2, 3]): WindowContent {
  return {
    prompt: { dialect: 'chat', model: 'small', messages: [{ role: 'user', content: text }], shaping: {} },
    tokenIds: Uint32Array.from(tokenIds),
  }
}

/** A delete of {@link aWindow}, as it is ordered. */
export function anOrder(change: Partial<DeletionRecord> = {}): DeletionRecord {
  return {
    tenant: 'acme',
    id: 'deletion-1',
    kind: 'window',
    name: 'draft',
    lineage: 'lineage-1',
    spaces: [],
    pin: 'none',
    state: 'open',
    at: noon,
    tries: 0,
    nextTryAt: noon,
    ...change,
  }
}

export function anEntry(change: Partial<AuditEntry> = {}): AuditEntry {
  return {
    id: 'entry-1',
    at: noon,
    tenant: 'acme',
    actor: 'operator',
    action: 'freeze',
    target: 'window',
    name: 'draft',
    outcome: 'ok',
    ...change,
  }
}

/** Saves a turn, of a new session or of one that is stored. */
export async function putTurn(
  store: Store,
  session: SessionRecord,
  boundaries: readonly Boundary[] = [],
  keepBoundaries = 4,
): Promise<SaveOutcome> {
  const isNew = (await store.getSession(session.tenant, session.id)) === undefined
  return store.saveTurn(session, { boundaries, keepBoundaries }, isNew)
}
