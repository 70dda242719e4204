import { expect, it, vi } from 'vitest'
import { CwmError } from '../base/errors.ts'
import type { StoredEvent } from '../base/events.ts'
import { silentLogger } from '../base/logger.ts'
import { EventSubscription } from '../journal/event-subscription.ts'
import type { EventPage } from '../store/store-values.ts'
import { DeletedWindows } from './deleted-windows.ts'

const anEvent = (kind: StoredEvent['kind'], window: string): StoredEvent => ({
  id: '1',
  tenant: 'acme',
  kind,
  at: 0,
  window,
  details: {},
})

/** Subscriptions to pages that a test gives; each ends after the last page. */
function following(...pages: readonly Partial<EventPage>[]) {
  const left = [...pages]
  let subscription: EventSubscription | undefined
  const store = {
    eventIdNow: async () => '0',
    listEvents: async () => {
      const page = left.shift()
      if (page === undefined || left.length === 0) subscription?.end()
      else subscription?.wake()
      return { events: [], missed: false, cursor: '1', ...page }
    },
  }
  const subscribe = vi.fn(async () => {
    subscription = new EventSubscription(store, undefined, silentLogger)
    return subscription
  })
  const onDeleted = vi.fn()
  const onMissed = vi.fn()
  return {
    subscribe,
    onDeleted,
    onMissed,
    windows: new DeletedWindows({ events: { subscribe }, log: silentLogger, onDeleted, onMissed }),
  }
}

it('reports deleted windows, and no other events', async () => {
  const { windows, onDeleted } = following({ events: [anEvent('frozen', 'a'), anEvent('deleted', 'b')] })

  await windows.follow()
  await windows.close()

  expect(onDeleted.mock.calls).toEqual([['acme', 'b']])
})

it('says so when events were missed, and when the subscription ended', async () => {
  const { windows, onMissed } = following({ missed: true }, {})

  await windows.follow()
  await windows.close()

  expect(onMissed).toHaveBeenCalledTimes(2)
})

it('subscribes once for all who ask, and again after a failure', async () => {
  const { windows, subscribe } = following({})
  subscribe.mockRejectedValueOnce(new CwmError('STORE_UNAVAILABLE', 'away'))

  await expect(Promise.all([windows.follow(), windows.follow()])).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  expect(subscribe).toHaveBeenCalledOnce()
  await windows.follow()

  expect(subscribe).toHaveBeenCalledTimes(2)
  await windows.close()
})
