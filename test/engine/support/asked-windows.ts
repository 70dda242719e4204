// Twenty windows with one fact each, which are asked after a restart. `prepare` freezes them, `describeAskedWindows` registers the tests.

import OpenAI from 'openai'
import { expect, it } from 'vitest'
import type { WindowAnswerJson } from '../../../src/wire/asks.ts'
import type { LibraryDeletionJson, LibraryJson } from '../../../src/wire/libraries.ts'
import type { ManyAnswerJson } from '../../../src/wire/many-asks.ts'
import { overHttp } from '../../support/mcp.ts'
import { MODEL, measured, openai } from './conversations.ts'
import { type Cwm, type FreezeReceipt, KEY } from './cwm.ts'
import type { Hop } from './hop.ts'
import { CHUNK, engineUrl, eventually, forget } from './stack.ts'

const COUNT = 20
const MAX_TOKENS = 12
/** All of them have it. */
const TAG = 'town-book'

const ANIMALS = ['cat', 'dog', 'horse', 'goat', 'parrot']
const NAMES = ['Bruno', 'Daisy', 'Felix', 'Greta', 'Hugo', 'Ivy', 'Jasper', 'Kira', 'Leo', 'Molly']
const PEOPLE = ['baker', 'miller', 'smith', 'teacher', 'doctor', 'sailor', 'farmer']
const PLACES = ['the market', 'the harbor', 'the old bridge', 'the church', 'the river', 'the mill']
const WEATHER = ['In the morning', 'After the rain', 'On Sundays', 'In winter', 'At noon']
/** About 1,150 tokens. */
const SENTENCES = 95

const [animalOf, nameOf] = [(i: number) => ANIMALS[i % 5] ?? '', (i: number) => NAMES[(i * 3) % 10] ?? '']
const windowOf = (i: number): string => `town-${i}`
const questionOf = (i: number): string => `What is the name of the mayor's ${animalOf(i)}?`

/** Plain statements: the model of 135M parameters finds a fact in them more often than in anything else. */
function townOf(i: number): string {
  const sentences = Array.from({ length: SENTENCES }, (_, j) => {
    const [time, who, place] = [WEATHER[(i + j) % 5], PEOPLE[(i + 2 * j) % 7], PLACES[(3 * i + j) % 6]]
    return `${time} the ${who} of town number ${i} walks to ${place}.`
  })
  return `${sentences.join(' ')} The mayor has a ${animalOf(i)}. The name of the mayor's ${animalOf(i)} is ${nameOf(i)}.`
}

export class AskedWindows {
  readonly #receipts: FreezeReceipt[] = []

  /** Freezes the windows. Resolves when the last of them is. */
  async prepare(cwm: Cwm): Promise<void> {
    for (let i = 0; i < COUNT; i++) {
      const messages = [
        { role: 'user', content: `Read this.\n\n${townOf(i)}` },
        { role: 'assistant', content: 'I have read it.' },
      ]
      const { status, body } = await cwm.rest('PUT', `/windows/${windowOf(i)}`, { model: MODEL, messages, tags: [TAG] })
      expect({ status, body }).toMatchObject({ status: 201 })
      this.#receipts.push(await cwm.frozen(windowOf(i)))
    }
  }

  get receipts(): readonly FreezeReceipt[] {
    return this.#receipts
  }
}

interface Timed {
  readonly text: string
  readonly firstTokenMs: number
}

/** The engine's answer to the last question, sent again under a salt that nobody has used. */
async function sentWhole(hop: Hop): Promise<Timed> {
  const sent = JSON.parse(hop.last('/v1/chat/completions').requestBody.toString())
  const client = new OpenAI({ baseURL: `${engineUrl}/v1`, apiKey: KEY, maxRetries: 0 })
  const start = performance.now()
  const stream = await client.chat.completions.create({ ...sent, stream: true, cache_salt: crypto.randomUUID() })
  let text = ''
  let firstTokenMs = Number.NaN
  for await (const { choices } of stream as unknown as AsyncIterable<OpenAI.ChatCompletionChunk>) {
    const piece = choices[0]?.delta.content ?? ''
    if (piece !== '' && text === '') firstTokenMs = performance.now() - start
    text += piece
  }
  return { text, firstTokenMs }
}

/** Registers the tests, which use the proxy, and the hop between it and the engine, that are there at that time. */
export function describeAskedWindows(windows: AskedWindows, proxy: () => Cwm, hop: () => Hop): void {
  it(`${COUNT} windows answer as the same prompts sent whole, at the price of the questions`, async () => {
    const rows: { asked: WindowAnswerJson; whole: Timed; name: string }[] = []
    // One at a time: what else is in the batch changes the engine's arithmetic, and with it the words.
    for (let i = 0; i < COUNT; i++) {
      const body = { question: questionOf(i), max_tokens: MAX_TOKENS, temperature: 0 }
      const { status, body: asked } = await proxy().rest<WindowAnswerJson>('POST', `/windows/${windowOf(i)}/ask`, body)
      expect({ status, asked }).toMatchObject({ status: 200 })
      rows.push({ asked, whole: await sentWhole(hop()), name: nameOf(i) })
    }

    const prompt = sum(rows.map(({ asked }) => asked.usage?.prompt_tokens ?? Number.NaN))
    const computed = sum(rows.map(({ asked }) => asked.receipt.computed_tokens ?? Number.NaN))
    const tails = sum(windows.receipts.map(({ tokens }) => tokens % CHUNK))
    const questions = prompt - sum(windows.receipts.map(({ tokens }) => tokens))
    const isRight = (text: string, name: string) => text.includes(name)
    measured('windows asked after a restart', {
      windows: COUNT,
      prompt,
      restored: prompt - computed,
      computed,
      questions,
      tails,
      firstTokenMs: {
        asked: spread(rows.map(({ asked }) => asked.receipt.first_token_ms ?? Number.NaN)),
        whole: spread(rows.map(({ whole }) => whole.firstTokenMs)),
      },
      right: {
        asked: rows.filter(({ asked, name }) => isRight(asked.answer, name)).length,
        whole: rows.filter(({ whole, name }) => isRight(whole.text, name)).length,
      },
      answers: rows.slice(0, 4).map(({ asked }) => asked.answer),
    })
    expect(rows.map(({ asked }) => asked.answer)).toEqual(rows.map(({ whole }) => whole.text))
    expect(rows.filter(({ asked }) => asked.answer.trim() === '')).toEqual([])
    expect(rows.filter(({ asked }) => asked.receipt.drift !== false)).toEqual([])
    expect(computed).toBeLessThanOrEqual((questions + tails) * 1.05)
  })

  it('one call asks all of them, from the KV of each', async () => {
    await forget()
    const bounds = { max_tokens: MAX_TOKENS, temperature: 0, stream: false }
    const body = { question: ANY, windows: { tag: TAG }, reduce: 'best', ...bounds }
    const { status, body: asked } = await proxy().rest<ManyAnswerJson>('POST', '/ask', body)

    expect({ status, asked }).toMatchObject({ status: 200 })
    measured('one question to all', { ...asked.receipt, best: asked.reduction })
    const best = asked.answers.find(({ window }) => window === asked.reduction?.window)
    expect(asked.failed).toEqual([])
    expect(asked.reduction_error).toBeNull()
    expect(asked.reduction?.answer).toBe(best?.answer)
    expect(asked.receipt.reduction.calls).toBeGreaterThan(0)
    expect(asked.answers.map(({ window }) => window).sort()).toEqual(allNames())
    expect(asked.receipt.restored_tokens).toBeGreaterThanOrEqual(wholeChunks(windows))
  })

  it('a chat app asks them by its base URL, and gets a stream', async () => {
    await forget()
    const client = openai(proxy().url, { path: `/cwm/a/${TAG}/v1` })
    const { data: models } = await client.models.list()
    const stream = await client.chat.completions.create({
      model: models[0]?.id ?? '',
      messages: [{ role: 'user', content: ANY }],
      max_tokens: MAX_TOKENS,
      stream: true,
      stream_options: { include_usage: true },
    })
    let text = ''
    let usage: OpenAI.CompletionUsage | null | undefined
    for await (const event of stream) {
      text += event.choices[0]?.delta.content ?? ''
      usage = event.usage ?? usage
    }

    measured('asked by a chat app', { text, ...usage })
    expect(models.map(({ id }) => id)).toEqual([`ask:${TAG}`])
    expect(usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThanOrEqual(wholeChunks(windows))
  })

  it('an agent asks three of them by MCP', async () => {
    const agent = await overHttp(proxy().url, { authorization: `Bearer ${KEY}` })
    const names = [windowOf(1), windowOf(2), windowOf(3)]

    const asked = await agent.use<{ answers: { window: string }[]; receipt: { windows: number; not_found: number } }>(
      'windows_ask',
      // Without a bound, this model goes on for minutes, and the client waits for one.
      { question: ANY, window_names: names, reduce: 'none', max_tokens: MAX_TOKENS },
    )

    await agent.close()
    measured('asked by MCP', asked)
    expect(asked.receipt.windows).toBe(3)
    expect(asked.answers.length + asked.receipt.not_found).toBe(3)
  })

  it('a text becomes a library, of which the window with the fact is asked, and which is deleted whole', async () => {
    const text = [0, 1, 2].map((i) => `# Town ${i}\n\n${townOf(i)}`).join('\n\n')
    await proxy().rest('PUT', '/libraries/towns', { model: MODEL, texts: [{ text }], tokens_per_window: 2_048 })
    const library = await eventually(
      'the library is frozen',
      async () => (await proxy().rest<LibraryJson>('GET', '/libraries/towns?wait_ms=20000')).body,
      ({ state }) => state !== 'building',
      { deadlineMs: 300_000 },
    )
    await forget()
    const body = {
      question: questionOf(2),
      windows: { tag: library.tag },
      select: { text: 1 },
      max_tokens: MAX_TOKENS,
      temperature: 0,
      stream: false,
    }
    const { body: asked } = await proxy().rest<ManyAnswerJson>('POST', '/ask', body)
    const deleted = await proxy().rest<LibraryDeletionJson>('DELETE', '/libraries/towns')

    const [answered] = asked.answers
    measured('a library', { library, answered, deleted: deleted.body })
    expect(library).toMatchObject({ state: 'ready', windows: 3 })
    expect(answered?.passage?.text).toContain(`mayor's ${animalOf(2)} is ${nameOf(2)}`)
    expect(answered?.receipt.restored_tokens).toBeGreaterThanOrEqual(CHUNK)
    expect(deleted.body).toMatchObject({ windows: 3, windows_left: 0, residual_chunks: 0, open: [] })
  })
}

/** A question that fits all of them. */
const ANY = "What is the name of the mayor's animal?"

const allNames = (): string[] => Array.from({ length: COUNT }, (_, i) => windowOf(i)).sort()

const wholeChunks = ({ receipts }: AskedWindows): number => sum(receipts.map(({ tokens }) => tokens - (tokens % CHUNK)))

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0)

function spread(numbers: readonly number[]): {
  readonly least: number
  readonly median: number
  readonly most: number
} {
  const sorted = numbers.map(Math.round).sort((a, b) => a - b)
  const at = (index: number) => sorted[index] ?? Number.NaN
  return { least: at(0), median: at(Math.floor(sorted.length / 2)), most: at(sorted.length - 1) }
}
