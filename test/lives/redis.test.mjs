// The same lives over Redis.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RedisServer, skipsRedis } from '../support/redis-server.ts'
import { RUNS_TIMEOUT_MS } from '../support/runs.ts'
import { LIVED, liveSome, startLives } from './lives.mjs'

describe.skipIf(skipsRedis)('over Redis', () => {
  let redis
  let lives
  beforeAll(async () => {
    redis = await RedisServer.start()
    lives = await startLives({ store: redis.url })
  })
  afterAll(async () => {
    await lives?.close()
    await redis?.dispose()
  })

  it(
    'every prompt of a random life is what its session and window should hold, over kills too',
    async () => {
      expect(await liveSome(lives)).toEqual(expect.arrayContaining(LIVED))
    },
    4 * RUNS_TIMEOUT_MS,
  )
})
