import { expect, it } from 'vitest'
import { readOptions } from './options.mjs'
import { relevantOf, shrink } from './shrink.mjs'
import { actionOf, stepsOf } from './steps.mjs'
import { World } from './world.mjs'

const turn = (session, more = {}) => ({ act: 'turn', session, ...more })

it('keeps what the last action depends on', () => {
  const life = [
    turn('a', { freeze: 'w' }),
    turn('b'),
    { act: 'clone', source: 'w', window: 'v' },
    { act: 'restart' },
    { act: 'make', window: 'other' },
    turn('c', { thaw: 'v' }),
  ]

  expect(relevantOf(life)).toEqual([life[0], life[2], life[3], life[5]])
})

it('leaves out what the fault does not need', async () => {
  const life = Array.from({ length: 40 }, (_, n) => turn(n % 2 === 0 ? 'a' : 'b', { question: n }))
  const fails = async (tried) => [4, 20].every((n) => tried.some(({ question }) => question === n))

  const short = await shrink([...life, turn('a', { question: 40 })], fails, 10_000)

  expect(short.map(({ question }) => question)).toEqual([4, 20])
})

it('keeps a life that fails only as a whole', async () => {
  const life = [turn('a'), turn('b'), turn('a')]

  expect(await shrink(life, async () => false, 10_000)).toEqual(life)
})

it('draws the same steps from a seed, however many', () => {
  expect(stepsOf(7, 50)).toEqual(stepsOf(7, 80).slice(0, 50))
  expect(stepsOf(7, 50)).not.toEqual(stepsOf(8, 50))
})

it('asks no question twice', () => {
  const world = new World()
  const questions = stepsOf(3, 300).map((drawn, n) => actionOf(world, { ...drawn, act: 'turn' }, n).question)

  expect(new Set(questions).size).toBe(300)
})

it('reports each invalid option in a line', () => {
  expect(readOptions(['--steps', '0', '--seed', 'x', '--coordinator', 'http://c']).errors).toEqual([
    '--steps: a whole number, 1 or more',
    '--seed: a whole number, 0 or more',
    '--coordinator: only with --engine',
  ])
})
