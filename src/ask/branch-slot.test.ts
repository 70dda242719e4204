import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { CwmError } from '../base/errors.ts'
import type { RequestScope } from '../base/request-scope.ts'
import type { TenantPolicy } from '../base/tenants.ts'
import { runInSlot } from './branch-slot.ts'

const sender = { sharer: 'acme', policy: {} as TenantPolicy }
const full = () => new CwmError('RATE_LIMIT_EXCEEDED', 'full', { retryAfterS: 3 })

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** An admission that rejects the first tries. */
function admissionAfter(rejections: number) {
  const seen = { tries: 0 }
  const run = async <T>(_: unknown, __: RequestScope, work: () => Promise<T>): Promise<T> => {
    seen.tries++
    if (seen.tries <= rejections) throw full()
    return await work()
  }
  return { seen, run }
}

it('tries again when a full queue says so', async () => {
  const admission = admissionAfter(2)
  const done = runInSlot(admission, sender, new AbortController().signal, async () => 'done')

  await vi.advanceTimersByTimeAsync(6_000)

  expect(await done).toBe('done')
  expect(admission.seen.tries).toBe(3)
})

it('gives up after 20 tries', async () => {
  const admission = admissionAfter(100)
  const done = expect(
    runInSlot(admission, sender, new AbortController().signal, async () => 'done'),
  ).rejects.toMatchObject({ code: 'RATE_LIMIT_EXCEEDED' })

  await vi.advanceTimersByTimeAsync(60_000)

  await done
  expect(admission.seen.tries).toBe(20)
})

it('does not repeat work that has begun', async () => {
  const admission = admissionAfter(0)
  let runs = 0
  const work = async () => {
    runs++
    throw full()
  }

  await expect(runInSlot(admission, sender, new AbortController().signal, work)).rejects.toThrow('full')

  expect(runs).toBe(1)
})

it('stops waiting when the client leaves', async () => {
  const client = new AbortController()
  const done = expect(runInSlot(admissionAfter(100), sender, client.signal, async () => 'done')).rejects.toMatchObject({
    code: 'CLIENT_GONE',
  })

  await vi.advanceTimersByTimeAsync(0)
  client.abort()

  await done
  expect(vi.getTimerCount()).toBe(0)
})
