import { expect, it } from 'vitest'
import type { EngineNeed } from '../engines/fleet.ts'
import type { BaseWindow } from './base-windows.ts'
import type { WindowParts } from './parts.ts'
import { prefetchWindow } from './prefetch.ts'

/** Prefetches a window that was frozen from the session `frozen`. Returns the server that was asked. */
async function serverFor(sessionId: string | undefined): Promise<string | undefined> {
  let asked: string | undefined
  const link = {
    plan: () => ({}),
    prefetch: async (_: unknown, { server }: { server: string }) => {
      asked = server
      return { foundChunks: 1, totalChunks: 1, warnings: [] }
    },
  }
  // Each session's engine has its own server.
  const pick = (need: EngineNeed) => ({ kvServer: need.sessionId, models: { find: async () => ({ engineName: 'm' }) } })
  const parts = { kv: { open: async () => link }, fleet: { pick }, saltOf: () => 'salt', now: () => 0, kvEpoch: '' }
  const base = { record: { sessionId: 'frozen', lineage: 'l', tenant: 't', model: 'm' }, tokenIds: Uint32Array.of(1) }
  const [given, window] = [parts as unknown as WindowParts, base as unknown as BaseWindow]
  await prefetchWindow(given, window, { apiKey: undefined, sessionId })
  return asked
}

it('a window is loaded where the session that returns to it has its engine', async () => {
  expect(await serverFor('returning')).toBe('returning')
})

it('without such a session, it is loaded where the session that it was frozen from has its engine', async () => {
  expect(await serverFor(undefined)).toBe('frozen')
})
