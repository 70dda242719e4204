// `cwm engines` as a process: the table, a drain that waits, and why it is refused.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BuiltCwm, buildCwm } from '../../support/built-cwm.ts'
import { CliProcess, type CliResult } from '../../support/cli-process.ts'
import { chat, user } from '../../support/conversation.ts'
import { type Stack, startStack } from '../../support/stack.ts'

const key = 'operator-0123456'

let built: BuiltCwm
let stack: Stack
let urls: readonly string[]

beforeAll(async () => {
  ;[built, stack] = await Promise.all([
    buildCwm(),
    startStack({ sim: { engines: 2 }, settings: { operator_key: key } }),
  ])
  urls = stack.sim.engines.map(({ url }) => url)
  await stack.restart({ upstream: urls.map((url) => ({ url, weight: 1, drain: false })) })
})
afterAll(async () => {
  await stack.close()
  await built.dispose()
})

function cwm(...words: string[]): Promise<CliResult> {
  return new CliProcess(built, words, { env: { CWM_URL: stack.url, CWM_API_KEY: key }, input: '' }).result()
}

describe('cwm engines', () => {
  it('lists each engine with its state', async () => {
    const { out, ended } = await cwm('engines')

    const rows = out.trimEnd().split('\n')
    expect(rows.map((row) => row.split('\t').slice(0, 4))).toEqual(urls.map((url) => [url, 'up', '1', '0']))
    expect(ended).toBe(0)
  })

  it('drains one, waits for its requests in flight, and says what is still placed there', async () => {
    for (const session of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) {
      await chat(stack.url, [user('hi')], { headers: { 'x-cwm-session': session } })
    }
    stack.sim.fault({ path: '/v1/chat/completions', times: 1, action: { kind: 'delay', ms: 1_500 } })
    const slow = chat(stack.url, [user('slow')])

    const { out, ended } = await cwm('engines', 'drain', urls[0] ?? '', '--wait')
    await slow

    expect(ended).toBe(0)
    expect(out).toMatch(/is drained: this cwm has no request in flight there, and sends no new work\n/)
    expect(out).toMatch(
      /\d+ sessions? still placed there; each moves with its next turn, so you need not wait for it\n/,
    )
    expect((await cwm('engines')).out).toContain('\tdrained\t')
  })

  it('does not drain the last one, and gives the other work again', async () => {
    await cwm('engines', 'drain', urls[0] ?? '')
    const refused = await cwm('engines', 'drain', urls[1] ?? '')
    const resumed = await cwm('engines', 'resume', urls[0] ?? '', '--json')

    expect([refused.ended, refused.err]).toEqual([1, expect.stringContaining('no other engine is up')])
    expect(JSON.parse(resumed.out)).toMatchObject({ id: urls[0], drained_by: null })
  })

  it('wants an address', async () => {
    const { err, ended } = await cwm('engines', 'drain', 'first')

    expect([ended, err]).toEqual([2, expect.stringContaining('It must be the address of an engine')])
  })
})
