import { expect, it } from 'vitest'
import { createApi } from './api.ts'
import { slotRules, withoutSlot } from './slots.ts'

// A new operation must not bypass admission because nobody thought of it.
it('says of every operation that changes something whether it takes a slot', () => {
  const app = createApi({} as Parameters<typeof createApi>[0])
  const changing = app.routes.filter(({ method }) => ['POST', 'PUT', 'PATCH', 'DELETE'].includes(method))

  const operations = [...new Set(changing.map(({ method, path }) => `${method} ${path}`))].sort()

  expect(operations).toEqual([...slotRules.keys(), ...withoutSlot].sort())
})
