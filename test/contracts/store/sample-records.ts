// Records for the store contract: complete in everything that a store must keep, minimal otherwise.

import type { DeletionRecord } from '../../../src/base/deletion-records.ts'
import type { CwmEvent } from '../../../src/base/events.ts'
import type { LibraryRecord } from '../../../src/base/library-records.ts'
import type { AuditEntry, Boundary, SessionRecord, WindowContent, WindowRecord } from '../../../src/base/records.ts'
import type { PendingPart } from '../../../src/store/library-methods.ts'
import type { Store } from '../../../src/store/store.ts'
import type { Page, PageRequest, RetainedPrompt, SaveOutcome, TenantsPage } from '../../../src/store/store-values.ts'

/** In 2096, so that no sample expires by the wall clock, which a store may use. */
export const noon = 4_000_000_000_000

/** The first ten of a list of all tenants. */
export const firstTen: TenantsPage = { after: '', perTenant: 10, enough: 10 }

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

/** An order to delete {@link aWindow}. */
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

export function anEvent(change: Partial<CwmEvent> = {}): CwmEvent {
  return { tenant: 'acme', kind: 'frozen', at: noon, window: 'draft', details: { tokens: 600 }, ...change }
}

export function aTurn(text = 'hello', change: Partial<RetainedPrompt> = {}): RetainedPrompt {
  return { prompt: someContent(text).prompt, replyAt: 1, lineage: 'lineage-1', ...change }
}

/** A library that is being built for the first time. */
export function aLibrary(change: Partial<LibraryRecord> = {}): LibraryRecord {
  const parts = [{ window: 'one', tokens: 20, text: 0 }]
  const manifest = { model: 'small', tokensPerWindow: 64, titles: ['Chapter é'], parts, tags: [] }
  return {
    tenant: 'acme',
    name: 'law',
    revision: 1,
    createdAt: noon,
    changedAt: noon,
    build: { id: 'build-1', manifest, actor: 'ann', startedAt: noon },
    stale: [],
    ...change,
  }
}

export function aPart(window: string): PendingPart {
  return { window, prompt: someContent(`text of ${window} \u0000 \ud800`).prompt }
}

/** Saves a turn of a new or stored session. */
export async function putTurn(
  store: Store,
  session: SessionRecord,
  boundaries: readonly Boundary[] = [],
  keepBoundaries = 4,
): Promise<SaveOutcome> {
  const isNew = (await store.getSession(session.tenant, session.id)) === undefined
  return store.saveTurn(session, { boundaries, keepBoundaries }, isNew)
}

/** All items of a list, page by page. */
export async function readAll<T>(read: (page: PageRequest) => Promise<Page<T>>, limit: number): Promise<T[]> {
  const items: T[] = []
  let page = await read({ limit })
  for (let pages = 1; pages < 1000; pages++) {
    items.push(...page.items)
    if (page.nextCursor === undefined) return items
    page = await read({ limit, cursor: page.nextCursor })
  }
  throw new Error('the list does not end')
}

export const fullReceipt: NonNullable<WindowRecord['receipt']> = {
  durability: 'l2',
  tokens: 600,
  chunkSize: 256,
  chunks: 2,
  restorableTokens: 512,
  tiers: { total: 2, l1: null, l2: 2, backends: { fs: 2 } },
  pinned: true,
  cachedTokens: 0,
  computedTokens: null,
  ms: { warm: 12.5 },
  warnings: ['l1 unknown — “slow”'],
  notes: ['under one “chunk”'],
}

export function fullWindow(): WindowRecord {
  return aWindow({
    state: 'failed',
    origin: 'clone',
    shared: 'user',
    tags: ['a', 'b'],
    note: 'as “agreed”',
    kvEpoch: 3,
    promptTokens: 500,
    bytes: 2_500_000_000,
    thawedAt: noon + 2,
    thaws: 4,
    pinUntil: noon + 3,
    reason: 'the upstream is gone',
    parent: 'before',
    clientSalt: 'mine',
    frozenAt: noon + 1,
    checksum: 'sum',
    pin: 'pinning',
    keys: { engineName: '/models/small', worldSize: 2, chunkSize: 256 },
    receipt: fullReceipt,
  })
}

export function fullSession(): SessionRecord {
  return aSession({
    named: false,
    shared: 'tenant',
    head: 2,
    spaces: [
      { model: 'small', kvEpoch: 0 },
      { model: 'large', clientSalt: 'mine', kvEpoch: 1 },
    ],
    spacesLost: true,
    baseWindow: 'draft',
    baseWindowId: 'window-1',
    model: 'small',
    dialect: 'responses',
    turns: 7,
    usage: { promptTokens: 10, completionTokens: 0, totalTokens: 10, cachedTokens: 0 },
    limit: 4096,
    thaw: {
      window: 'draft',
      sessionId: 'session-1',
      tokens: 600,
      restoredTokens: null,
      recomputedTokens: 88,
      tiersBefore: { total: 2, l1: 0, l2: 2, backends: {} },
      drift: false,
      ms: {},
      at: noon,
      warnings: [],
    },
  })
}
