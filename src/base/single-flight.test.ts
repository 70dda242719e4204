import { describe, expect, it } from 'vitest'
import { SingleFlight, SingleSlot } from './single-flight.ts'

/** Work that the test finishes or fails, and that counts its runs. */
function work() {
  const runs: { resolve: (value: string) => void; reject: (reason: Error) => void }[] = []
  const start = () => new Promise<string>((resolve, reject) => void runs.push({ resolve, reject }))
  return { runs, start }
}

describe.each<[string, () => (start: () => Promise<string>) => Promise<string>]>([
  [
    'a key',
    () => {
      const flight = new SingleFlight<string>()
      return (start) => flight.run('a', start)
    },
  ],
  [
    'a slot',
    () => {
      const slot = new SingleSlot<string>()
      return (start) => slot.run(start)
    },
  ],
])('%s', (_, open) => {
  it('shares one run among concurrent callers', async () => {
    const { runs, start } = work()
    const run = open()
    const together = [run(start), run(start), run(start)]

    runs[0]?.resolve('done')

    expect(await Promise.all(together)).toEqual(['done', 'done', 'done'])
    expect(runs).toHaveLength(1)
  })

  it('starts again once the run is over', async () => {
    const { runs, start } = work()
    const run = open()
    const first = run(start)
    runs[0]?.resolve('first')
    await first

    const second = run(start)
    runs[1]?.resolve('second')

    expect(await second).toBe('second')
  })

  it('fails all callers of a failed run, and starts again after it', async () => {
    const { runs, start } = work()
    const run = open()
    const together = Promise.allSettled([run(start), run(start)])
    runs[0]?.reject(new Error('away'))

    expect((await together).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    const again = run(start)
    runs[1]?.resolve('back')

    expect(await again).toBe('back')
  })

  it('keeps nothing of work that throws at once', async () => {
    const { runs, start } = work()
    const run = open()

    expect(() =>
      run(() => {
        throw new Error('not now')
      }),
    ).toThrow('not now')
    const later = run(start)
    runs[0]?.resolve('now')

    expect(await later).toBe('now')
  })
})

it('runs work of several keys concurrently, and drops a key when its run is over', async () => {
  const { runs, start } = work()
  const flight = new SingleFlight<string>()
  const one = flight.run('one', start)
  const two = flight.run('two', start)

  runs[1]?.resolve('second')
  await two

  expect(flight.current('two')).toBeUndefined()
  expect(flight.current('one')).toBe(one)
  runs[0]?.resolve('first')
  expect(await one).toBe('first')
  expect(flight.current('one')).toBeUndefined()
})
