// Random chats whose clients continue, regenerate, edit, rewind, branch, drop messages and clear old tool results, sent through cwm and
// directly to the engine under one salt per chat. If a history starts with an exchange that cwm delivered, cwm makes no turn colder.

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { JsonObject, JsonValue } from '../../src/base/json.ts'
import { ask, jsonOf } from '../support/client.ts'
import { prose } from '../support/conversation.ts'
import { RedisServer, skipsRedis } from '../support/redis-server.ts'
import { RUNS_TIMEOUT_MS, runs } from '../support/runs.ts'
import { type Stack, startCwm, startStack } from '../support/stack.ts'

const BLOCK = 16

/** The parts of a history, in no dialect yet. A reply keeps its dialect's form. */
type Item =
  | { readonly kind: 'user'; readonly text: string }
  | { readonly kind: 'result'; readonly call: string; readonly text: string }
  | { readonly kind: 'reply'; readonly messages: readonly JsonValue[] }

interface Answer {
  readonly messages: readonly JsonValue[]
  /** The id of its tool call. */
  readonly call: string | undefined
  readonly cachedTokens: number
}

interface ChatDialect {
  readonly name: string
  readonly path: string
  body(items: readonly Item[]): JsonObject
  answer(json: JsonObject): Answer
}

const parameters = { type: 'object', properties: { of: { type: 'string' } } }
const shared = { model: 'sim-model', temperature: 0 }
const mapped = (items: readonly Item[], one: (item: Exclude<Item, { kind: 'reply' }>) => JsonValue): JsonValue[] =>
  items.flatMap((item) => (item.kind === 'reply' ? item.messages : [one(item)]))
const user = (text: string) => ({ role: 'user', content: text })

const dialects: readonly ChatDialect[] = [
  {
    name: 'chat completions',
    path: '/v1/chat/completions',
    body: (items) => ({
      ...shared,
      max_tokens: 12,
      tools: [{ type: 'function', function: { name: 'look', parameters } }],
      messages: mapped(items, (item) =>
        item.kind === 'user' ? user(item.text) : { role: 'tool', tool_call_id: item.call, content: item.text },
      ),
    }),
    answer: (json) => {
      const { choices, usage } = json as unknown as {
        choices: { message: { content: string | null; tool_calls?: { id: string }[] } }[]
        usage: { prompt_tokens_details: { cached_tokens: number } | null }
      }
      const message = choices[0]?.message
      return {
        messages: [message as unknown as JsonValue],
        call: message?.tool_calls?.[0]?.id,
        cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
      }
    },
  },
  {
    name: 'responses',
    path: '/v1/responses',
    body: (items) => ({
      ...shared,
      max_output_tokens: 12,
      store: false,
      tools: [{ type: 'function', name: 'look', parameters }],
      input: mapped(items, (item) =>
        item.kind === 'user'
          ? user(item.text)
          : { type: 'function_call_output', call_id: item.call, output: item.text },
      ),
    }),
    answer: (json) => {
      const { output, usage } = json as unknown as {
        output: { type: string; call_id?: string }[]
        usage: { input_tokens_details: { cached_tokens: number } }
      }
      return {
        messages: output as unknown as JsonValue[],
        call: output.find(({ type }) => type === 'function_call')?.call_id,
        cachedTokens: usage.input_tokens_details.cached_tokens,
      }
    },
  },
  {
    name: 'messages',
    path: '/v1/messages',
    body: (items) => ({
      ...shared,
      max_tokens: 12,
      tools: [{ name: 'look', input_schema: parameters }],
      messages: mapped(items, (item) =>
        item.kind === 'user'
          ? user(item.text)
          : { role: 'user', content: [{ type: 'tool_result', tool_use_id: item.call, content: item.text }] },
      ),
    }),
    answer: (json) => {
      const { role, content, usage } = json as unknown as {
        role: string
        content: { type: string; id?: string }[]
        usage: { cache_read_input_tokens?: number | null }
      }
      return {
        messages: [{ role, content } as unknown as JsonValue],
        call: content.find(({ type }) => type === 'tool_use')?.id,
        cachedTokens: usage.cache_read_input_tokens ?? 0,
      }
    },
  },
]

/** `at`: the position in the history, in thousandths. */
const step = fc.record({
  act: fc.oneof(
    { weight: 4, arbitrary: fc.constant('continue' as const) },
    { weight: 2, arbitrary: fc.constant('tools' as const) },
    { weight: 4, arbitrary: fc.constantFrom('regenerate', 'edit', 'rewind', 'branch', 'drop', 'clear') },
  ),
  at: fc.noBias(fc.nat({ max: 999 })),
})
const plan = fc.array(step, { minLength: 10, maxLength: 16 })

/** One chat as its client has it, sent to cwm and directly to the engine. */
class Chat {
  readonly #cwm: string
  readonly #stack: Stack
  readonly #dialect: ChatDialect
  readonly #id: string
  #items: readonly Item[] = []
  #said = 0
  /** Replies as cwm delivered them, by the question's text. */
  readonly #firsts = new Set<string>()
  readonly colder: string[] = []
  compared = 0

  constructor(stack: Stack, cwm: string, dialect: ChatDialect, id: string) {
    this.#stack = stack
    this.#cwm = cwm
    this.#dialect = dialect
    this.#id = id
  }

  async open(): Promise<void> {
    await this.#send([this.#question(60)])
  }

  async go({ act, at }: { readonly act: string; readonly at: number }): Promise<void> {
    const items = this.#items
    const place = Math.floor((at * items.length) / 1000)
    if (act === 'continue') return this.#send([...items, this.#question(12)])
    if (act === 'tools') return this.#loop(12)
    if (act === 'clear') return this.#send([...items.map(cleared), this.#question(4)])
    if (act === 'regenerate') return this.#send(items.slice(0, -1))
    if (act === 'branch') return this.#send([...endOfReply(items, place), this.#question(8)])
    if (act === 'rewind') return this.#send(endOfReply(items, place).slice(0, -1))
    const changed = items[place]
    if (changed === undefined || (changed.kind === 'reply' && JSON.stringify(changed).includes('call'))) return
    if (act === 'drop') {
      if (changed.kind !== 'result') await this.#send([...items.toSpliced(place, 1), this.#question(4)])
    } else if (changed.kind !== 'reply') {
      await this.#send([...items.with(place, { ...changed, text: `${this.#said++} edited` }), this.#question(4)])
    }
  }

  async #loop(calls: number): Promise<void> {
    const next: Item[] = [...this.#items, this.#question(6)]
    for (let n = 0; n < calls; n++) {
      const call = await this.#send(next, true)
      if (call === undefined) return
      next.splice(0, next.length, ...this.#items, { kind: 'result', call, text: prose(8, `r${this.#said++}`) })
    }
    await this.#send(next)
  }

  #question(words: number): Item {
    return { kind: 'user', text: prose(words, `${this.#id}-${this.#said++}`) }
  }

  async #send(items: readonly Item[], calls: true): Promise<string | undefined>
  async #send(items: readonly Item[], calls?: false): Promise<undefined>
  async #send(items: readonly Item[], calls = false): Promise<string | undefined> {
    if (items.length === 0 || items.at(-1)?.kind === 'reply') return undefined
    // A first turn that is sent again is another chat, because its text does not identify a client.
    if (items.length === 1 && this.#items.length > 0) return undefined
    const toolCalls = [{ name: 'look', arguments: { of: `${this.#said++}` } }]
    if (calls) this.#stack.sim.script({ toolCalls })
    const { messages, call, cachedTokens } = await this.#ask(this.#cwm, this.#dialect.body(items))
    if (calls) this.#stack.sim.script({ toolCalls })
    const body = { ...this.#dialect.body(items), cache_salt: `alone-${this.#id}` }
    const alone = await this.#ask(this.#stack.sim.engineUrl, body)
    const begins = this.#firsts.has(JSON.stringify(items.slice(0, 2)))
    if (begins) {
      this.compared++
      if (cachedTokens < alone.cachedTokens - 2 * BLOCK) {
        this.colder.push(`${items.length} items: ${cachedTokens}, alone ${alone.cachedTokens}`)
      }
    }
    // A client that changed the very start goes back to its previous history.
    if (begins || items.length === 1) this.#items = [...items, { kind: 'reply', messages }]
    if (items.length === 1) this.#firsts.add(JSON.stringify(this.#items))
    return call
  }

  async #ask(url: string, body: JsonObject): Promise<Answer> {
    const got = await ask(url, this.#dialect.path, { body })
    if (got.status !== 200) throw new Error(`answered ${got.status}: ${got.text}`)
    return this.#dialect.answer(jsonOf<JsonObject>(got))
  }
}

function cleared(item: Item, index: number, all: readonly Item[]): Item {
  return item.kind === 'result' && index < all.length - 3 ? { ...item, text: '[cleared]' } : item
}

/** The history up to the end of a reply near that position; all of it if none precedes. */
function endOfReply(items: readonly Item[], place: number): readonly Item[] {
  const end = items.findLastIndex((item, index) => item.kind === 'reply' && index <= Math.max(1, place))
  const upTo = end === -1 ? items : items.slice(0, end + 1)
  // A call needs its result.
  return JSON.stringify(upTo.at(-1)).includes('call') ? items.slice(0, 2) : upTo
}

let stack: Stack
beforeAll(async () => {
  stack = await startStack({ sim: { maxModelLen: 65_536, cacheBlocks: 1 << 20 } })
})
afterAll(() => stack.close())

async function expectNoneColder(cwm: string, of: string, chats: number): Promise<void> {
  let count = 0
  let compared = 0
  for (const dialect of dialects) {
    await fc.assert(
      fc.asyncProperty(plan, async (steps) => {
        const chat = new Chat(stack, cwm, dialect, `${of}${count++}`)
        await chat.open()
        for (const next of steps) await chat.go(next)
        compared += chat.compared
        expect(chat.colder).toEqual([])
      }),
      { ...runs(chats), endOnFailure: true },
    )
  }
  expect(compared).toBeGreaterThan(count * 4)
}

describe('a turn whose history starts with an exchange delivered by cwm is no colder than on the engine alone', () => {
  it('with SQLite', () => expectNoneColder(stack.url, 's', 4), 2 * RUNS_TIMEOUT_MS)

  it.skipIf(skipsRedis)(
    'over Redis',
    async () => {
      const redis = await RedisServer.start()
      const settings = {
        coordinator: stack.sim.coordinatorUrl,
        store: redis.url,
        secret: 'a secret of some length, for tests',
      }
      const cwm = await startCwm(stack.sim.engineUrl, settings)
      await expectNoneColder(cwm.url, 'r', 1)
      await cwm.close()
      await redis.dispose()
    },
    2 * RUNS_TIMEOUT_MS,
  )
})
