// How many windows are asked at once.

import type { WindowRecord } from '../base/records.ts'
import type { CallOptions } from '../engines/engine.ts'
import type { EngineFleet } from '../engines/fleet.ts'
import { DEFAULT_MAX_TOKENS } from './ask-window.ts'
import type { ManyQuestion } from './many-question.ts'

/** Most windows asked at once. */
export const MAX_PARALLEL = 64
/** Default maximum: more would queue in the engine, with chats behind them. */
const MAX_BY_DEFAULT = 16
/** By default, if the engine does not show the size of its cache. */
const OF_UNKNOWN_ENGINE = 4
/** Share of the cache that is left to chats. */
const FOR_CHATS = 0.25
const MAX_MEMBERS = 64
const BYTES_PER_TOKEN = 4

/**
 * As many windows as the engines' caches hold with `FOR_CHATS` left for chats, or as asked for; at least 1, never more than the tenant may
 * have in flight. By default one less than that, so that its chats need not wait. Never throws.
 */
export async function parallelOf(
  fleet: Pick<EngineFleet, 'members'>,
  asked: Pick<ManyQuestion, 'parallel' | 'policy' | 'maxTokens'>,
  records: readonly WindowRecord[],
  options: CallOptions,
): Promise<number> {
  const share = asked.policy.maxInFlight ?? MAX_PARALLEL
  if (asked.parallel !== undefined) return Math.max(1, Math.min(asked.parallel, MAX_PARALLEL, share))
  const room = await cacheTokensOf(fleet, options)
  const size = Math.max(1, ...records.map(tokensOf)) + (asked.maxTokens ?? DEFAULT_MAX_TOKENS)
  const fits = room === undefined ? OF_UNKNOWN_ENGINE : Math.floor((room * (1 - FOR_CHATS)) / size)
  return Math.max(1, Math.min(fits, MAX_BY_DEFAULT, share - 1))
}

/** The sum over the engines that show it; undefined if none does. Windows are spread over engines by lineage. */
async function cacheTokensOf(fleet: Pick<EngineFleet, 'members'>, options: CallOptions): Promise<number | undefined> {
  const up = fleet.members().filter(({ state }) => state === 'up')
  const sizes = await Promise.all(up.slice(0, MAX_MEMBERS).map(({ engine }) => engine.cacheTokens(options)))
  const known = sizes.filter((size) => size !== undefined)
  return known.length === 0 ? undefined : known.reduce((sum, size) => sum + size, 0)
}

function tokensOf({ receipt, bytes }: WindowRecord): number {
  const tokens = receipt?.tokens ?? 0
  return tokens > 0 ? tokens : Math.ceil(bytes / BYTES_PER_TOKEN)
}
