// Why a turn was cold, with a real engine's counts of its own blocks, of chunks restored by LMCache, and of neither.

import type OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, ask, longText, type Message, measured, openai, system, user } from './support/conversations.ts'
import { type Cwm, startCwm } from './support/cwm.ts'
import { type Hop, startHop } from './support/hop.ts'
import { emptyTiers, engineUrl, eventually, forget } from './support/stack.ts'

interface BreakJson {
  readonly cause: string
  readonly message?: number
  readonly cached_tokens: number
  readonly expected_tokens: number
}

const TOKENS = 1_300
let cwm: Cwm
let hop: Hop
let client: OpenAI

beforeAll(async () => {
  hop = await startHop(engineUrl)
  cwm = await startCwm({ upstream: hop.url })
  client = openai(cwm.url)
})

afterAll(async () => {
  await cwm.dispose()
  await hop.close()
})

const say = (session: string, messages: Message[]): Promise<Answer> =>
  ask(client, messages, { headers: { 'x-cwm-session': session } })
const broken = async (session: string) =>
  (await cwm.rest<{ prefix_break?: BreakJson }>('GET', `/sessions/${session}`)).body.prefix_break
const toldOf = (session: string) =>
  eventually(
    'a break is reported',
    () => broken(session),
    (found) => found !== undefined,
  )

/** Sends two turns. Returns the start of the third. */
async function twoTurns(session: string, opening: Message[]): Promise<Message[]> {
  const first = await say(session, opening)
  const second = [...opening, first.reply, user('and then?')]
  return [...second, (await say(session, second)).reply]
}

describe('a turn of a session', () => {
  it('that stays warm, or is restored by LMCache, is not reported', async () => {
    const messages = await twoTurns('warm', [system(longText('the warm log', TOKENS)), user('who?')])
    for (let turn = 0; turn < 5; turn++) {
      messages.push(user(`and ${turn}?`))
      messages.push((await say('warm', messages)).reply)
    }
    await forget()
    const restored = await say('warm', [...messages, user('still there?')])

    measured('a turn that LMCache restored', { prompt: restored.promptTokens, cached: restored.cachedTokens })
    expect(restored.cachedTokens).toBeGreaterThan(1_000)
    // Breaks are reported in the order of their turns: once another session's clock is reported, nothing earlier can follow.
    await clockIn('clock-after-warm')
    expect(await broken('warm')).toBeUndefined()
    expect((await metrics()).match(/^cwm_prefix_breaks_total\{.*$/gm)).toEqual([
      'cwm_prefix_breaks_total{cause="message"} 1',
    ])
  })

  it('with a clock in its system prompt is reported, with its position', async () => {
    const told = await clockIn('clock')

    measured('a clock in the system prompt', { ...told })
    expect(told).toMatchObject({ cause: 'message', message: 0, field: 'content', offset: 'The time is 12:0'.length })
    expect(told?.expected_tokens).toBeGreaterThan(1_300)
  })

  it('whose KV is gone from every tier is reported as evicted', async () => {
    const messages = await twoTurns('gone', [system(longText('the lost log', TOKENS)), user('who?')])
    await cwm.rest('POST', '/windows', { name: 'gone', session_id: 'gone' })
    await cwm.frozen('gone')
    await emptyTiers(hop.lastWarm())

    const cold = await say('gone', [...messages, user('still there?')])

    const told = await toldOf('gone')
    measured('a turn whose KV was gone', { ...told })
    expect(cold.cachedTokens).toBe(0)
    expect(told).toMatchObject({ cause: 'evicted', cached_tokens: 0 })
  })
})

async function clockIn(session: string): Promise<BreakJson | undefined> {
  const at = (clock: string) => system(`The time is ${clock}. ${longText('the log', TOKENS)}`)
  const [, ...history] = await twoTurns(session, [at('12:01'), user('who?')])
  await say(session, [at('12:02'), ...history, user('and now?')])
  return await toldOf(session)
}

async function metrics(): Promise<string> {
  return await (await fetch(`${cwm.url}/cwm/metrics`)).text()
}
