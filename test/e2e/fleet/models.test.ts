// Several engines that do not serve the same models, or not with the same limits.

import { afterEach, describe, expect, it } from 'vitest'
import { ask, jsonOf } from '../../support/client.ts'
import { askChat, user } from '../../support/conversation.ts'
import { type ListStack, startList } from '../../support/engine-list.ts'

let stack: ListStack

afterEach(() => stack.close())

interface Card {
  readonly id: string
  readonly max_model_len: number | null
  readonly max_input_tokens?: number
}

const adapter = (name: string) => ({ adapters: [{ name, path: `./${name}` }] })
const cards = async () => jsonOf<{ readonly data: readonly Card[] }>(await ask(stack.url, '/v1/models')).data

describe('a model', () => {
  it('that one engine serves is answered by that one', async () => {
    stack = await startList({ engineOptions: [{}, adapter('poet'), {}] })
    // The lists have arrived once cwm shows them.
    await cards()

    for (let n = 0; n < 8; n++) {
      const { status } = await askChat(stack.url, [user(`hi ${n}`)], { body: { model: 'poet' } })
      expect(status).toBe(200)
    }

    expect(stack.sim.engines.map((engine) => stack.turnsAt(engine).length)).toEqual([0, 8, 0])
  })

  it('of any engine is in the list', async () => {
    stack = await startList({ engineOptions: [{}, adapter('poet'), adapter('clerk')] })

    expect((await cards()).map(({ id }) => id).sort()).toEqual(['clerk', 'poet', stack.sim.model])
  })

  it('has the smallest limit of its engines', async () => {
    stack = await startList({ engineOptions: [{ maxModelLen: 8_192 }, { maxModelLen: 2_048 }, { maxModelLen: 4_096 }] })

    expect(await cards()).toMatchObject([{ max_model_len: 2_048, max_input_tokens: 2_048 }])
    for (let n = 0; n < 3; n++) {
      const { headers } = await askChat(stack.url, [user(`hi ${n}`)])
      expect(headers['x-cwm-context']).toContain('2048')
    }
  })
})
