// Work that one proxy at a time may do, in Redis: a key that holds who does it and goes by itself when that proxy does.

import { randomId } from '../../base/ids.ts'
import type { Store } from '../store.ts'
import type { RedisRows } from './redis-rows.ts'
import { script } from './redis-scripts.ts'

/** Takes the work if nobody has it, or keeps it. KEYS: the work. ARGV: who, milliseconds. Answers 1, or 0 when another has it. */
const takeScript = script(`
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`)

const dropScript = script(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
`)

/** The work methods of the store. */
export function workIn({ link, shared }: RedisRows): Pick<Store, 'takeWork' | 'dropWork'> {
  const self = randomId()
  return {
    takeWork: async (work, ms) => Number(await link.run(takeScript, [shared.work(work)], [self, ms])) === 1,
    async dropWork(work) {
      await link.run(dropScript, [shared.work(work)], [self])
    },
  }
}
