// Records for the store contract: complete in what a store must keep, small in what it need not care about.

import type { Boundary, SessionRecord, WindowContent, WindowRecord } from '../../base/records.ts'

export const noon = 1_790_000_000_000

export function aSession(change: Partial<SessionRecord> = {}): SessionRecord {
  return {
    tenant: 'acme',
    id: 'session-1',
    named: true,
    lineage: 'lineage-1',
    createdAt: noon,
    lastTurnAt: noon,
    turns: 0,
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
    sessionId: 'session-1',
    lineage: 'lineage-1',
    dialect: 'chat',
    model: 'small',
    messageCount: 1,
    replyAt: 1,
    createdAt: noon,
    pin: 'none',
    ...change,
  }
}

export function someContent(text = 'hello', tokenIds: readonly number[] = [1, 2, 3]): WindowContent {
  return {
    prompt: { dialect: 'chat', model: 'small', messages: [{ role: 'user', content: text }], shaping: {} },
    tokenIds: Uint32Array.from(tokenIds),
  }
}
