// Who shares KV with whom on the real engine, compared with the table in docs/isolation.md (its adapters are simulated); and the cost of
// each mode for a session whose system prompt others have sent before. The figures are printed, and copied to that page.

import type OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { modes, readMatrix } from '../support/matrix.ts'
import { ask, longText, MODEL, measured, openai, system, user } from './support/conversations.ts'
import { type Cwm, startCwm } from './support/cwm.ts'
import { forget } from './support/stack.ts'

const matrix = readMatrix()
const TOKENS = 600
/** Sessions started to measure a mode; the median is reported. */
const RUNS = 7

interface Sender {
  readonly key: string
  readonly user?: string
  readonly session?: string
}

const ann: Sender = { key: 'key-acme', user: 'ann' }
const pairs: readonly [line: string, a: Sender, b: Sender][] = [
  ['another tenant', ann, { ...ann, key: 'key-other' }],
  ['the same session name', { ...ann, session: 'one' }, { ...ann, session: 'one' }],
  ['another user', ann, { ...ann, user: 'bob' }],
  ['no user, as A', { key: ann.key }, { key: ann.key }],
  ['another session of the same user', { ...ann, session: 'two' }, { ...ann, session: 'three' }],
]

describe.each(modes)('isolation: %s', (mode) => {
  let cwm: Cwm
  beforeAll(async () => {
    cwm = await startCwm({ flags: { '--isolation': mode } })
  })
  afterAll(() => cwm.dispose())

  async function cachedFor(
    { key, user: end, session }: Sender,
    words: string,
    headers: Record<string, string> = {},
  ): Promise<number> {
    const named = session === undefined ? headers : { ...headers, 'x-cwm-session': session }
    const body = end === undefined ? {} : { user: end }
    return (await ask(openai(cwm.url, { key }), [user(words)], { headers: named, body })).cachedTokens
  }

  it.each([
    ['all caches at hand', async () => {}],
    ['L2 alone', forget],
  ])('matches the table with %s', async (caches, between) => {
    const found = new Map<string, string>()
    const words = (line: string) => longText(`${mode}, ${caches}, ${line}`, TOKENS)
    for (const [line, a] of pairs) expect(await cachedFor(a, words(line))).toBe(0)
    await between()
    for (const [line, , b] of pairs) found.set(line, (await cachedFor(b, words(line))) > 0 ? 'shared' : 'apart')

    expect(found).toEqual(new Map(pairs.map(([line]) => [line, matrix.get(line)?.[mode]])))
  })

  it('matches the table for a window thawed into a session', async () => {
    await cachedFor(ann, longText(`${mode}, window`, TOKENS), { 'x-cwm-freeze': 'kept' })
    const { body } = await cwm.rest<{ state: string }>('GET', '/windows/kept?wait_ms=20000', undefined, ann.key)
    const cached = await cachedFor({ ...ann, user: 'bob' }, 'and then?', { 'x-cwm-window': 'kept' })

    expect(body.state).toBe('frozen')
    expect(cached > 0 ? 'shared' : 'apart').toBe(matrix.get('a window of A thawed into it')?.[mode])
  })

  it('has a cost: the part that a new session recomputes of a system prompt from another session', async () => {
    const shared = system(longText(`The handbook, ${mode}`, 2_000))
    const client = openai(cwm.url, { key: ann.key })
    await turn(client, [shared, user('question 0?')])
    const runs: Turn[] = []
    for (let i = 1; i <= RUNS; i++) runs.push(await turn(client, [shared, user(`question ${i}?`)]))

    const prompt = runs[0]?.prompt ?? 0
    const computed = median(runs.map((run) => run.computed))
    measured(`price of ${mode}`, { prompt, computed, ttft_ms: median(runs.map((run) => run.ttftMs)) })
    if (mode === 'session') expect(runs.map((run) => run.computed)).toEqual(runs.map((run) => run.prompt))
    else expect(computed).toBeLessThan(prompt / 5)
  })
})

interface Turn {
  readonly prompt: number
  readonly computed: number
  readonly ttftMs: number
}

/** A streamed turn of ann's in a new session. */
async function turn(client: OpenAI, messages: OpenAI.ChatCompletionMessageParam[]): Promise<Turn> {
  const started = performance.now()
  let ttftMs: number | undefined
  let usage: OpenAI.CompletionUsage | undefined
  const body = { model: MODEL, messages, max_tokens: 2, temperature: 0, user: 'ann', ignore_eos: true }
  const stream = await client.chat.completions.create({
    ...body,
    stream: true,
    stream_options: { include_usage: true },
  })
  for await (const event of stream) {
    if (event.choices[0]?.delta.content) ttftMs ??= Math.round(performance.now() - started)
    if (event.usage) usage = event.usage
  }
  if (usage === undefined) throw new Error('the stream had no usage')
  const prompt = usage.prompt_tokens
  const cached = usage.prompt_tokens_details?.cached_tokens ?? Number.NaN
  return { prompt, computed: prompt - cached, ttftMs: ttftMs ?? Math.round(performance.now() - started) }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
