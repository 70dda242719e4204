// The models of several engines as one list.

import { expect, it } from 'vitest'
import { aFleetOfMany } from '../../test/support/fleet-engines.ts'

const noKey = undefined

function aView() {
  const setup = aFleetOfMany()
  setup.fake('a').models = { shared: 8_000, big: 32_000 }
  setup.fake('b').models = { shared: 4_000 }
  setup.fake('c').models = { small: 1_000 }
  return { ...setup, models: setup.fleet.models }
}

it('has the smallest limit of the engines that serve a model', async () => {
  const { models } = aView()

  expect(models.limitsOf('shared', noKey)).toEqual({ limit: 4_000, contextLimit: 4_000 })
  expect(models.limitsOf('big', noKey).contextLimit).toBe(32_000)
  expect((await models.limitsToHold('shared', noKey)).contextLimit).toBe(4_000)
  expect((await models.find('shared', noKey))?.limit).toBe(4_000)
})

it('counts the limit of an engine that is down, because sessions may come back to it', () => {
  const { models, setBreaker } = aView()

  setBreaker('b', 'open')

  expect(models.limitsOf('shared', noKey).limit).toBe(4_000)
})

it('serves what any engine serves', () => {
  const { models } = aView()

  expect(['big', 'small', 'other'].map((name) => models.isServed(name))).toEqual([true, true, false])
})

it('lists the models of all engines, each once', async () => {
  const { models } = aView()

  const list = await models.list(noKey)

  expect(list.map(({ id, limit }) => [id, limit])).toEqual([
    ['shared', 4_000],
    ['big', 32_000],
    ['small', 1_000],
  ])
})

it('shows one page of all engines, each model with its smallest limit', async () => {
  const { models } = aView()

  const { status, body } = await models.page(noKey, new AbortController().signal)

  expect([status, body]).toEqual([
    200,
    {
      object: 'list',
      data: [
        { id: 'shared', max_model_len: 4_000 },
        { id: 'big', max_model_len: 32_000 },
        { id: 'small', max_model_len: 1_000 },
      ],
    },
  ])
})

it('leaves out an engine that does not answer', async () => {
  const { models, fake } = aView()
  fake('a').behavior = 'refuses'

  expect((await models.list(noKey)).map(({ id }) => id)).toEqual(['shared', 'small'])
  expect((await models.find('shared', noKey))?.id).toBe('shared')
})

it('fails with the first error if no engine answers', async () => {
  const { models, fake } = aView()
  for (const name of ['a', 'b', 'c']) fake(name).behavior = 'refuses'

  await expect(models.list(noKey)).rejects.toMatchObject({ code: 'UPSTREAM_REFUSED' })
  await expect(models.page(noKey, new AbortController().signal)).rejects.toMatchObject({ code: 'UPSTREAM_REFUSED' })
  await expect(models.find('shared', noKey)).rejects.toMatchObject({ code: 'UPSTREAM_REFUSED' })
})

it('finds nothing where every engine answers that it has no such model', async () => {
  expect(await aView().models.find('other', noKey)).toBeUndefined()
})
