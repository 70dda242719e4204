// Turns at blocking work: fair between tenants, and ended with the client.

import { expect, it } from 'vitest'
import { CwmError } from './errors.ts'
import { FairTurns, type Requester } from './fair-turns.ts'

interface Client extends Requester {
  leave(): void
}

function client(sharer: string): Client {
  const told: (() => void)[] = []
  let gone = false
  return {
    sharer,
    scope: {
      get isGone() {
        return gone
      },
      onClose: (tell) => void told.push(tell),
    },
    leave: () => {
      gone = true
      for (const tell of told.splice(0)) tell()
    },
  }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'done',
    (thrown: unknown) => (thrown instanceof CwmError ? thrown.code : 'another error'),
  )
}

it("one tenant's flood waits in its own queue", async () => {
  const turns = new FairTurns(10)
  const order: string[] = []
  const run = (tenant: string) => turns.run(client(tenant), () => order.push(tenant))

  await Promise.all([run('a'), run('a'), run('a'), run('b'), run('c'), run('b')])

  expect(order).toEqual(['a', 'a', 'b', 'c', 'a', 'b'])
  expect(turns.waiting).toBe(0)
})

it('a client that disconnects while waiting leaves the queue, and the next one gets its turn', async () => {
  const turns = new FairTurns(10)
  const [first, leaving, last] = [client('a'), client('a'), client('a')]
  const running = [first, leaving, last].map((requester) => codeOf(turns.run(requester, () => {})))

  leaving.leave()

  expect(await Promise.all(running)).toEqual(['done', 'CLIENT_GONE', 'done'])
  expect(await codeOf(turns.run(leaving, () => {}))).toBe('CLIENT_GONE')
})

it('are rejected beyond the limit', async () => {
  const turns = new FairTurns(1)
  const running = ['a', 'b', 'c'].map((tenant) => codeOf(turns.run(client(tenant), () => {})))

  expect(await Promise.all(running)).toEqual(['done', 'done', 'OVERLOADED'])
})

it('pass on when work throws', async () => {
  const turns = new FairTurns(10)
  const failing = codeOf(
    turns.run(client('a'), () => {
      throw new CwmError('INVALID_JSON', 'x')
    }),
  )

  expect(await Promise.all([failing, codeOf(turns.run(client('b'), () => {}))])).toEqual(['INVALID_JSON', 'done'])
})
