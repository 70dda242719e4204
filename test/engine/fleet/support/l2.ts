// The Redis that both LMCache servers share.

import { Redis } from 'ioredis'
import { eventually } from '../../support/stack.ts'
import { l2Port } from './pair.ts'

/** Chunks of all salts in Redis. Each chunk is one key. */
export async function countShared(): Promise<number> {
  const redis = new Redis({ port: l2Port, host: '127.0.0.1' })
  try {
    return await redis.dbsize()
  } finally {
    redis.disconnect()
  }
}

/** Waits until Redis holds at least that many chunks: LMCache writes them a moment after the answer. */
export async function awaitShared(chunks: number): Promise<void> {
  await eventually('the chunks are in Redis', countShared, (found) => found >= chunks, { deadlineMs: 60_000 })
}
