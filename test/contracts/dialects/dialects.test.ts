// What every dialect in the table must do, whatever its format. Tests of a single dialect are beside its file.

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CwmError } from '../../../src/base/errors.ts'
import type { JsonObject, JsonValue } from '../../../src/base/json.ts'
import type { DialectRules } from '../../../src/dialects/dialect.ts'
import { dialects, type MessageRules, messageRulesOf, rulesAt, rulesOf } from '../../../src/dialects/index.ts'
import { asText, firstMediaAt, withoutMedia } from '../../../src/dialects/media.ts'
import { replyText } from '../../../src/dialects/reply-text.ts'
import { contextExceeded } from '../../../src/limits/context-exceeded.ts'
import { placeCutNote } from '../../../src/limits/cut-note.ts'
import { typicalTokensOfMessage } from '../../../src/limits/typical-messages.ts'
import { classifyMessage } from '../../../src/limits/units.ts'
import { upperTokensOfMessage } from '../../../src/limits/upper-bound.ts'
import { defaultRoutes, matchRoute } from '../../../src/proxy/routes.ts'
import { splitEvents } from '../../../src/sse/decode.ts'
import { canonical, eventsOf, fromJson, fromStream } from '../../support/dialects.ts'
import { recordedStream } from '../../support/recorded.ts'
import { type Conversation, type DialectSample, samples } from './samples.ts'

const SOURCE = new URL('../../../src/', import.meta.url)

const sampleOf = (rules: DialectRules): DialectSample => {
  const sample = samples[rules.dialect]
  if (sample === undefined) throw new Error(`test/contracts/dialects/samples.ts has no sample of ${rules.dialect}`)
  return sample
}

/** Observes an answer from its passing bytes, as the proxy does. */
const ends = (rules: DialectRules, event: Buffer) =>
  rules.terminalLines.some((line) => Buffer.concat([Buffer.from('\n'), event]).includes(line))

describe('the table of dialects', () => {
  it('has a sample of each dialect, and unique paths and names', () => {
    expect(Object.keys(samples).sort()).toEqual(dialects.map(({ dialect }) => dialect).sort())
    expect(new Set(dialects.map(({ path }) => path)).size).toBe(dialects.length)
    expect(() => rulesOf('constructor')).toThrow('there is no dialect constructor')
    expect(() => messageRulesOf('completions')).toThrow('no dialect completions with messages')
  })

  // Differences belong into the rules. The simulator is an engine and has its own.
  it("is the only code that compares a dialect's name", () => {
    const asks = /[dD]ialect\w*\s*[!=]==\s*'|switch \([^)]*dialect\)/
    const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter(
      (name) => /\.tsx?$/.test(name) && !/\.test\.ts$|^(dialects|sim)[/\\]/.test(name),
    )

    expect(files.length).toBeGreaterThan(300)
    expect(files.filter((name) => asks.test(readFileSync(new URL(name, SOURCE), 'utf8')))).toEqual([])
  })
})

describe.each(dialects.map((rules) => [rules.dialect, rules] as const))('%s', (dialect, rules) => {
  const sample = sampleOf(rules)

  it('has its paths', () => {
    expect(matchRoute(defaultRoutes, 'POST', rules.path)).toMatchObject({ kind: 'session', dialect })
    expect(rulesAt(rules.path)).toBe(rules)
    for (const [path, [method = '']] of Object.entries(rules.plainPaths)) {
      expect(matchRoute(defaultRoutes, method, path).kind).toBe('plain')
      expect(rulesAt(path)).toBe(rules)
    }
    const stored = () => matchRoute(defaultRoutes, 'GET', `${rules.path}/id_1`).kind
    if (rules.stored === undefined) expect(stored).toThrow('unknown path')
    else expect(stored()).toBe('stored')
  })

  it('reads an answer, whole and as a stream', () => {
    const whole = fromJson(dialect, sample.whole)
    const streamed = fromStream(dialect, sample.stream)

    expect([whole.complete, streamed.complete]).toEqual([true, true])
    expect(whole.usage?.promptTokens).toBeGreaterThan(0)
    expect(streamed.usage === undefined).toBe(rules.usageOnRequest)
    for (const { choices } of [whole, streamed]) {
      expect(choices).toHaveLength(1)
      expect(choices[0]?.finishReason).toBeDefined()
      for (const message of choices[0]?.messages ?? []) expect(rules.isFromModel(message)).toBe(true)
    }
  })

  it('finds the end of a stream, and nothing earlier', () => {
    const events = splitEvents(Buffer.from(recordedStream(sample.stream)))
    const at = events.findIndex((event) => ends(rules, event))

    expect(at).toBe(events.length - 1)
  })

  it("keeps a stream's content when consecutive text deltas are merged", () => {
    const events = eventsOf(sample.stream)
    const rewritten = events.map((event) => {
      const text = rules.deltas?.textOf(event)
      return text === undefined ? event : (rules.deltas?.withText(event, text) ?? event)
    })

    expect(rules.observeEvents(rewritten)).toEqual(rules.observeEvents(events))
  })

  it('writes an error as an answer, and as an event that does not end the stream', () => {
    const error = new CwmError('INVALID_FIELD', 'must be "text"\n', { param: 'model' })
    const event = Buffer.from(rules.errors.event(error))

    expect(JSON.stringify(JSON.parse(rules.errors.body(error, 'r1')))).toContain('must be \\"text\\"\\n')
    expect(splitEvents(event)).toHaveLength(1)
    expect(ends(rules, event)).toBe(false)
  })

  it('writes the error for a prompt that is too long', () => {
    const { message, param } = contextExceeded({ rules, limit: 100, promptTokens: 120, room: 8, window: 'w-1' })

    expect(message.startsWith(rules.errors.contextExceeded({ limit: 100, promptTokens: 120, room: 8 }))).toBe(true)
    expect(message).toContain('120')
    expect(message).toContain('w-1')
    expect([undefined, 'prompt', rules.messagesField]).toContain(param)
  })

  it('reads the limit of an answer', () => {
    expect(rules.maxTokens(sample.bounded)).toBe(7)
    expect(() => rules.checkServerState(sample.bounded)).not.toThrow()
  })
})

const withMessages = dialects.flatMap((rules) => {
  const { conversation } = sampleOf(rules)
  return conversation === undefined ? [] : [[rules.dialect, messageRulesOf(rules.dialect), conversation] as const]
})

it('a dialect has a conversation in its sample if and only if it has messages', () => {
  expect(withMessages.map(([dialect]) => dialect)).toEqual(
    dialects.filter(({ messagesField }) => messagesField !== undefined).map(({ dialect }) => dialect),
  )
})

describe.each(withMessages)('a conversation of %s', (dialect, rules, conversation) => {
  const { user, reply, call, result, picture } = conversation

  it('can be asked: the question is bounded, and the text of its streamed answer is that of the reply', () => {
    const { questions } = rules
    const events = eventsOf(sampleOf(rules).stream)
    const bounds = { maxTokens: 9, temperature: 0.5, withoutTools: true }

    const text = events.map((event) => questions?.textOf(event) ?? '').join('')

    expect(questions?.fields(bounds)).toMatchObject({ stream: true, temperature: 0.5, tool_choice: expect.anything() })
    expect(rules.maxTokens(questions?.fields(bounds) ?? {})).toBe(9)
    expect(questions?.fields({ ...bounds, temperature: undefined, withoutTools: false })).not.toHaveProperty(
      'tool_choice',
    )
    expect(text).not.toBe('')
    expect(replyText(rules.observeEvents(events).choices[0]?.messages ?? [], rules)).toBe(text)
  })

  it('is read message by message', () => {
    const body = bodyOf(rules, conversation)
    const messages = rules.readMessages(body)
    const outer = rules.outerSystem(body)
    const speakers = [...(outer === undefined ? [] : [outer]), ...messages].map(
      (message) => classifyMessage(message, rules).by,
    )

    expect(speakers).toEqual(['system', 'user', 'model', 'user', 'model', 'result', 'model'])
    expect(() => rules.readMessages({ [rules.messagesField]: 7 })).toThrow(CwmError)
    expect(() => rules.checkServerState(body)).not.toThrow()
    if (rules.systemField !== undefined) expect(rules.shapingFields).toContain(rules.systemField)
    for (const field of rules.slightFields) expect(rules.shapingFields).toContain(field)
    for (const field of rules.vocabulary.toolFields) expect(rules.shapingFields).toContain(field)
  })

  it('has distinct messages that survive a JSON round trip', () => {
    const texts = [user, reply, call, result, picture].map((message) => canonical(dialect, message))

    expect(new Set(texts).size).toBe(5)
    expect(texts).not.toContain(undefined)
    expect(texts).toEqual(
      [user, reply, call, result, picture].map((message) =>
        canonical(dialect, JSON.parse(JSON.stringify(message)) as JsonValue),
      ),
    )
    expect([user, reply, call, result].map((message) => rules.canonical(message).fromModel)).toEqual([
      false,
      true,
      true,
      false,
    ])
  })

  it('matches a call with its result, and names its tool', () => {
    expect(rules.toolCallIds(call)).toEqual(['call_1'])
    expect(rules.toolResultIds(result)).toEqual(['call_1'])
    expect(rules.toolCalls(call).map(({ name }) => name)).toEqual(['find'])
    expect([...rules.toolCalls(user), ...rules.toolCalls(reply), ...rules.toolCalls(result)]).toEqual([])
  })

  it('makes a message from a text', () => {
    expect(classifyMessage(rules.textMessage('user', 'hi'), rules).by).toBe('user')
    expect(JSON.stringify(rules.textMessage('user', 'hi'))).toContain('"hi"')
    if (rules.newSystem === 'message') {
      expect(rules.isSystem(rules.textMessage('system', 'Be brief.'))).toBe(true)
    }
  })

  it('is probed with a message that may follow it', () => {
    const afterCall = rules.probe('A', call)

    expect(afterCall.flatMap((message) => rules.toolResultIds(message))).toEqual(['call_1'])
    expect(classifyMessage(rules.probe('A', reply)[0] ?? null, rules).by).toBe('user')
    expect(canonical(dialect, rules.probe('A', reply)[0] ?? null)).not.toBe(
      canonical(dialect, rules.probe('B', reply)[0] ?? null),
    )
  })

  it('distinguishes media from text', () => {
    expect(firstMediaAt([user, reply, call, result])).toBe(-1)
    expect(firstMediaAt([user, picture])).toBe(1)
    expect(withoutMedia(picture).media).toBe(1)
    expect(JSON.stringify(withoutMedia(picture).text)).toContain('look')
    expect(firstMediaAt([asText(picture, 'other')])).toBe(-1)
    expect(JSON.stringify(asText(picture, 'other'))).toMatch(/^(?=.*other)(?!.*look)/)
    expect(rules.vocabulary.mediaParts).toContain(lastPartOf(picture, rules).type)
  })

  it('is never estimated above its upper bound', () => {
    for (const message of [user, reply, call, result]) {
      expect(typicalTokensOfMessage(message)).toBeGreaterThan(0)
      expect(typicalTokensOfMessage(message)).toBeLessThanOrEqual(upperTokensOfMessage(message))
    }
  })

  it('receives a cut note as a system prompt, whether it has one or not', () => {
    for (const system of [{}, conversation.system]) {
      const body = { ...shapingOf(rules, system), [rules.messagesField]: [...systemsOf(rules, system), user] }
      const noted = withNote(rules, body)
      const systems = [
        rules.outerSystem(noted),
        ...rules.readMessages(noted).filter((message) => rules.isSystem(message)),
      ]

      expect(JSON.stringify(systems)).toContain('cut-0123456789ab')
    }
  })

  it('can be converted to chat for counting', () => {
    const messages = [...systemsOf(rules, conversation.system), user, reply]
    const shaping = shapingOf(rules, conversation.system)
    const chat = rules.toChat({ dialect, model: 'm', messages, shaping }, 'count')

    expect(chat?.dialect).toBe('chat')
    for (const words of ['Be brief.', 'hi', 'hello']) expect(JSON.stringify(chat?.messages)).toContain(words)
  })
})

function bodyOf(rules: MessageRules, { system, user, reply, call, result }: Conversation): JsonObject {
  return {
    ...shapingOf(rules, system),
    [rules.messagesField]: [...systemsOf(rules, system), user, reply, user, call, result, reply],
  }
}

/** Body fields of a sample's system prompt outside the messages. */
function shapingOf({ messagesField }: MessageRules, system: JsonObject): JsonObject {
  const { [messagesField]: _, ...rest } = system
  return rest
}

/** A sample's system prompt inside the messages. */
function systemsOf({ messagesField }: MessageRules, { [messagesField]: messages }: JsonObject): readonly JsonValue[] {
  return Array.isArray(messages) ? (messages as readonly JsonValue[]) : []
}

function lastPartOf(message: JsonValue, { vocabulary }: MessageRules): JsonObject {
  const [field = ''] = vocabulary.partFields
  return ((message as JsonObject)[field] as readonly JsonObject[]).at(-1) ?? {}
}

function withNote(rules: MessageRules, body: JsonObject): JsonObject {
  const messages = rules.readMessages(body)
  const note = placeCutNote({ rules, body, messages, tag: 'cut-0123456789ab' })
  if (note.kind === 'field') return { ...body, [note.field]: note.value }
  const noted = note.kind === 'front' ? [note.message, ...messages] : messages.with(note.at, note.message)
  return { ...body, [rules.messagesField]: noted }
}
