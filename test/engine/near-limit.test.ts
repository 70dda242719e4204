// A chat beyond the limit of the real engine under each policy: no answer is cut silently, and what is cut from a prompt is kept.

import type OpenAI from 'openai'
import { afterAll, describe, expect, it } from 'vitest'
import { type Answer, ask, longText, type Message, measured, openai, system, user } from './support/conversations.ts'
import { type Cwm, startCwm } from './support/cwm.ts'
import { bound, engineUrl, forget, ask as send } from './support/stack.ts'

const LIMIT = 4096
/** An eighth of the limit. */
const RESERVE = 512

const running: Cwm[] = []
afterAll(() => Promise.all(running.map((cwm) => cwm.dispose())))

async function start(overflow: string, flags: Record<`--${string}`, string> = {}): Promise<[Cwm, OpenAI]> {
  const cwm = await startCwm({ flags: { '--overflow': overflow, ...flags } })
  running.push(cwm)
  return [cwm, openai(cwm.url)]
}

interface Status {
  readonly truncation?: { readonly streamed: boolean }
  readonly rollover?: { readonly window: string; readonly messages: number }
}

const statusOf = async (cwm: Cwm, id: string) => (await cwm.rest<Status>('GET', `/sessions/${id}`)).body

async function exactTokens(messages: Message[]): Promise<number> {
  const { count } = (await send('POST', `${engineUrl}/tokenize`, { model: 'tiny', messages })) as { count: number }
  return count
}

describe('with the policy pass', () => {
  it('an answer cut by the limit is reported, streamed or not', async () => {
    const [cwm, client] = await start('pass', { '--freeze-at': '0' })
    const messages = [user(longText('fill', 3_900))]
    const prompt = await exactTokens(messages)
    expect(prompt).toBeGreaterThan(LIMIT - RESERVE)
    expect(prompt).toBeLessThan(LIMIT)
    const headers = { 'x-cwm-session': 'cut' }

    const whole = await ask(client, messages, { headers, body: { max_tokens: 1000, ignore_eos: true } })
    const stream = await client.chat.completions.create(
      { model: 'tiny', messages, temperature: 0, stream: true, ...{ ignore_eos: true } },
      { headers },
    )
    let finish: string | null = null
    for await (const { choices } of stream) finish = choices[0]?.finish_reason ?? finish
    const status = await statusOf(cwm, 'cut')
    const next = await ask(client, [user('short')], { headers })

    expect(whole.cwm).toMatchObject({ truncated: 'context', context: `${LIMIT}/${LIMIT}` })
    expect(finish).toBe('length')
    expect(status.truncation).toMatchObject({ streamed: true })
    expect(next.cwm.truncated).toBe('context; turn=previous')
  })
})

describe('with the policy reject', () => {
  it('a chat grows to the limit and is rejected there with exact numbers, before any compute', async () => {
    const [cwm, client] = await start('reject', { '--freeze-at': '0' })
    const headers = { 'x-cwm-session': 'grows' }
    const messages: Message[] = [system('You keep the harbour.')]
    let refusal: unknown
    let turns = 0
    for (; turns < 20 && refusal === undefined; turns++) {
      messages.push(user(longText(`turn ${turns}`, 300)))
      try {
        const answer = await ask(client, messages, {
          headers,
          body: { max_tokens: undefined, max_completion_tokens: 40 },
        })
        expect(answer.cwm.truncated).toBeUndefined()
        messages.push(answer.reply)
      } catch (thrown) {
        refusal = thrown
      }
    }
    const exact = await exactTokens(messages)

    expect(refusal).toMatchObject({ status: 400, code: 'context_length_exceeded' })
    expect(String(refusal)).toContain(`${exact} tokens`)
    expect(exact + 40).toBeGreaterThan(LIMIT)
    const { text } = { text: await (await fetch(`${cwm.url}/cwm/metrics`)).text() }
    const asked = Number(/cwm_size_checks_total\{by="tokenize"\} (\d+)/.exec(text)?.[1] ?? 0)
    measured('reject', { turns, tokenized: asked })
    expect(asked).toBeLessThanOrEqual(8)
  })
})

describe('with the policy rollover', () => {
  it('a chat continues beyond the limit, warm between cuts, and its whole history can be restored', async () => {
    const [cwm, client] = await start('rollover', { '--freeze-at': '0' })
    const headers = { 'x-cwm-session': 'rolls' }
    const messages: Message[] = [system('You keep the harbour and its books.')]
    const answers: Answer[] = []
    const turn = async (words: string) => {
      messages.push(user(words))
      const answer = await ask(client, messages, { headers })
      messages.push(answer.reply)
      answers.push(answer)
      return answer
    }
    for (let i = 0; answers.at(-1)?.cwm.rollover === undefined && i < 30; i++) await turn(longText(`long ${i}`, 250))
    const firstCut = answers.length - 1
    for (let i = 0; i < 50; i++) await turn(longText(`turn ${i}`, 30))

    const shares = answers.slice(firstCut + 1).map((answer, i) => ({
      share: answer.cachedTokens / answer.promptTokens,
      isFirst: answer.cwm.rollover !== answers[firstCut + i]?.cwm.rollover,
    }))
    const cuts = [...new Set(answers.flatMap(({ cwm: { rollover } }) => rollover ?? []))]
    const warm = shares.filter(({ isFirst }) => !isFirst).map(({ share }) => share)
    measured('rollover', {
      turns: answers.length,
      cuts: cuts.length,
      leastCachedShare: Math.min(...warm),
      largestPrompt: Math.max(...answers.map(({ promptTokens }) => promptTokens)),
    })
    expect(cuts.length).toBeGreaterThanOrEqual(1)
    expect(warm.length).toBeGreaterThan(45)
    expect(Math.min(...warm)).toBeGreaterThanOrEqual(0.8)
    for (const { cwm: told } of answers) expect(told.truncated).toBeUndefined()

    const name = cuts.at(-1) ?? ''
    const receipt = await cwm.frozen(name)
    await forget()
    const { body } = await cwm.rest<{ restored_tokens: number; tokens: number }>('POST', `/windows/${name}/thaw`, {
      session_id: 'undone',
    })
    measured('undo', { frozen: receipt.tokens, durability: receipt.durability, restored: body.restored_tokens })
    expect(receipt.durability).toBe('l2')
    expect(body.restored_tokens).toBeGreaterThanOrEqual(bound(receipt.tokens))
  })

  it('an agent with tool calls continues across a cut without a 400', async () => {
    const [, client] = await start('rollover', { '--freeze-at': '0' })
    const headers = { 'x-cwm-session': 'agent' }
    const tools = [
      {
        type: 'function' as const,
        function: {
          name: 'read_log',
          description: 'Reads a page of the log.',
          parameters: { type: 'object', properties: { page: { type: 'integer' } }, required: ['page'] },
        },
      },
    ]
    const messages: Message[] = [system('You read logs.'), user('Read the whole log and say who came.')]
    const cuts = new Set<string>()
    for (let page = 0; page < 24; page++) {
      const { cwm: told } = await ask(client, messages, { headers, body: { tools, tool_choice: 'none' } })
      if (told.rollover !== undefined) cuts.add(told.rollover)
      const id = `call_${page}`
      messages.push(
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id, type: 'function', function: { name: 'read_log', arguments: `{"page":${page}}` } }],
        },
        { role: 'tool', tool_call_id: id, content: longText(`page ${page}`, 250) },
      )
    }

    measured('agent', { cuts: cuts.size, messages: messages.length })
    expect(cuts.size).toBeGreaterThanOrEqual(2)
  })
})
