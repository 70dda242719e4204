// Limits of models: the engine's, the operator's, and what is known before the first request.

import { expect, it } from 'vitest'
import { CwmError } from '../../base/errors.ts'
import type { JsonObject } from '../../base/json.ts'
import type { Upstream } from '../upstream.ts'
import { VllmModels } from './models.ts'

/** An upstream that lists these models; undefined: it is unreachable. */
function modelsOf(lists: readonly (readonly object[] | undefined)[], limits: Record<string, number> = {}) {
  const seen = { asked: 0 }
  const send: Upstream['send'] = (_, answer) => {
    const list = lists[Math.min(seen.asked++, lists.length - 1)]
    queueMicrotask(() => {
      if (list === undefined) return answer.onError(new CwmError('UPSTREAM_REFUSED', 'away'))
      answer.onHeaders(200, [], 'OK')
      answer.onData(Buffer.from(JSON.stringify({ data: list })))
      answer.onEnd()
    })
    return () => {}
  }
  return { models: new VllmModels({ send } as Upstream, () => 1_000_000, limits), seen }
}

const small = { id: 'small', max_model_len: 4096 }

it('are awaited if nothing is known yet', async () => {
  const { models } = modelsOf([[small]])

  expect(await models.limitsToHold('small', undefined)).toMatchObject({ limit: 4096, contextLimit: 4096 })
})

it('are requested again after a failure, by the next turn that needs them', async () => {
  const { models, seen } = modelsOf([undefined, [small]])

  expect(await models.limitsToHold('small', undefined)).toEqual({ limit: undefined, contextLimit: undefined })
  expect(await models.limitsToHold('small', undefined)).toMatchObject({ contextLimit: 4096 })
  expect(seen.asked).toBe(2)
})

it('of a model that the upstream does not list are the operator’s, without a request', async () => {
  const { models } = modelsOf([[small]], { alias: 2048 })
  await models.limitsToHold('small', undefined)

  expect(models.limitsOf('alias', undefined)).toEqual({ limit: 2048, contextLimit: 2048 })
  expect(models.limitsOf('other', undefined)).toEqual({ limit: undefined, contextLimit: undefined })
})

it('of the operator apply alone while the upstream does not answer', async () => {
  const { models } = modelsOf([undefined], { small: 2048 })

  expect(await models.limitsToHold('small', undefined)).toEqual({ limit: 2048, contextLimit: 2048 })
})

it.each<[what: string, card: object, given: number | undefined, shown: number | undefined]>([
  ['the engine’s limit', { max_model_len: 4096 }, undefined, 4096],
  ['the operator’s where it is lower', { max_model_len: 4096 }, 2048, 2048],
  ['the engine’s where the operator’s is higher', { max_model_len: 4096 }, 8192, 4096],
  ['the operator’s alone', {}, 2048, 2048],
  ['nothing where nobody knows', {}, undefined, undefined],
  ['nothing for a limit that is none', { max_model_len: 0.5 }, undefined, undefined],
  ['nothing where the engine shows one itself', { max_model_len: 4096, max_input_tokens: 3000 }, undefined, undefined],
  ['nothing where it shows less than the operator', { max_model_len: 4096, max_input_tokens: 1000 }, 2048, undefined],
  ['the operator’s where that is less', { max_model_len: 4096, max_input_tokens: 3000 }, 2048, 2048],
  ['the limit in place of null', { max_model_len: 4096, max_input_tokens: null }, undefined, 4096],
  ['nothing where it shows words', { max_model_len: 4096, max_input_tokens: '3000' }, 2048, undefined],
])('to be shown are %s', (_, members, given, shown) => {
  const card = { id: 'small', ...members } as JsonObject
  const { models, seen } = modelsOf([], given === undefined ? {} : { small: given })

  expect(models.inputLimits([card])(card)).toBe(shown)
  expect(seen.asked).toBe(0)
})
