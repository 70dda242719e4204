import { expect, it } from 'vitest'
import { groupsThatFit } from './answer-groups.ts'

const upTo = (room: number) => async (group: readonly number[]) => group.reduce((sum, size) => sum + size, 0) <= room

it('keeps all together if they fit', async () => {
  expect(await groupsThatFit([1, 2, 3], upTo(6))).toEqual([[1, 2, 3]])
})

it('halves what does not fit, in order', async () => {
  expect(await groupsThatFit([1, 2, 3, 4, 9], upTo(9))).toEqual([[1, 2, 3], [4], [9]])
})

it('throws if no two fit together, because no round would make them fewer', async () => {
  await expect(groupsThatFit([5, 5, 5], upTo(6))).rejects.toMatchObject({ code: 'CONTEXT_LENGTH_EXCEEDED' })
  await expect(groupsThatFit([9], upTo(6))).rejects.toMatchObject({ code: 'CONTEXT_LENGTH_EXCEEDED' })
})
