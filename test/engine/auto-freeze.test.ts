// A session that fills the real engine's context is frozen automatically, with KV behind memory, and again after another tenth of the
// limit.

import type OpenAI from 'openai'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ask, longText, type Message, measured, openai, system, user } from './support/conversations.ts'
import { type Cwm, startCwm } from './support/cwm.ts'
import { eventually } from './support/stack.ts'

const LIMIT = 4_096

let cwm: Cwm
let client: OpenAI

beforeAll(async () => {
  cwm = await startCwm({ flags: { '--freeze-cooldown-ms': '0' } })
  client = openai(cwm.url)
})

afterAll(() => cwm.dispose())

interface Listed {
  readonly name: string
}

const automatic = async () =>
  (await cwm.rest<{ data: readonly Listed[] }>('GET', '/windows?tag=auto&sort=created&order=asc')).body.data

const windowNumber = async (n: number) => {
  const found = await eventually(
    `automatic window ${n}`,
    async () => (await automatic())[n - 1]?.name,
    (name) => name !== undefined,
  )
  return found ?? ''
}

it('freezes beyond three quarters of the limit, and again a tenth later', async () => {
  const history: Message[] = [system(longText('You keep the harbour book', 2_900))]
  const sizes: number[] = []
  const turn = async () => {
    history.push(user(longText(`entry ${sizes.length}`, 100)))
    const answer = await ask(client, history, { headers: { 'x-cwm-session': 'filling' } })
    history.push(answer.reply)
    sizes.push(Number(answer.cwm.context?.split('/')[0]))
  }
  const fillTo = async (tokens: number) => {
    do await turn()
    while ((sizes.at(-1) ?? 0) < tokens)
    return sizes.at(-1) ?? 0
  }

  const first = await fillTo(0.75 * LIMIT)
  const one = await windowNumber(1)
  const receipts = [await cwm.frozen(one)]
  const second = await fillTo(first + 0.1 * LIMIT)
  const two = await windowNumber(2)
  receipts.push(await cwm.frozen(two))

  measured('automatic freezes', { at: [first, second], ms: receipts.map(({ ms }) => ms.total) })
  expect([one, two]).toEqual([expect.stringMatching(/^auto\.[0-9a-f]{12}\.1$/), one.replace(/1$/, '2')])
  expect(receipts).toMatchObject([
    { durability: 'l2', pinned: true, warnings: [] },
    { durability: 'l2', pinned: true, warnings: [] },
  ])
  expect(await automatic()).toHaveLength(2)
})
