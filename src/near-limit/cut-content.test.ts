import { describe, expect, it } from 'vitest'
import type { JsonValue } from '../base/json.ts'
import type { Prompt } from '../base/records.ts'
import { rulesOf } from '../dialects/index.ts'
import { digestOf } from '../limits/rollover.ts'
import type { RetainedPrompt } from '../store/store-values.ts'
import { contentBeforeCut } from './cut-content.ts'

const rules = rulesOf('chat')
const system = { role: 'system', content: 'Be brief.' }
const user = (content: string) => ({ role: 'user', content })
const assistant = (content: string) => ({ role: 'assistant', content })
const promptOf = (messages: readonly JsonValue[]): Prompt => ({ dialect: 'chat', model: 'm', messages, shaping: {} })
const turnOf = (messages: readonly JsonValue[]): RetainedPrompt => ({
  prompt: promptOf(messages),
  replyAt: messages.length - 1,
  promptTokens: 90,
  lineage: 'lineage',
})
const cutOf = (messages: readonly JsonValue[]) => ({
  cut: digestOf(messages, rules),
  window: 'auto.0.1',
  messages: messages.length,
  at: 0,
})

const [a, A, b, B, c, C] = [user('a'), assistant('A'), user('b'), assistant('B'), user('c'), assistant('C')] as const
const history = [system, a, A, b, B, c, C]
const next = user('d')

describe('the content of the window before a cut', () => {
  it('is the last answered turn, if it contained everything that is cut', () => {
    const content = contentBeforeCut({
      rules,
      prompt: promptOf([...history, next]),
      dropped: [1, 2, 3, 4],
      last: turnOf(history),
      before: undefined,
    })

    expect(content).toEqual({ prompt: promptOf(history), replyAt: 6, promptTokens: 90 })
  })

  it('continues with later messages that are cut too, as text', () => {
    const prompt = promptOf([...history, user('d'), assistant('D'), user('e')])

    const content = contentBeforeCut({
      rules,
      prompt,
      dropped: [1, 2, 3, 4, 5, 6, 7, 8],
      last: turnOf(history),
      before: undefined,
    })

    expect(content.prompt.messages).toEqual([...history, user('d'), assistant('D')])
    expect(content).toMatchObject({ replyAt: 6, textFrom: 7 })
  })

  it('is the previously cut turn again, if the window of the previous cut holds what it lacks', () => {
    const content = contentBeforeCut({
      rules,
      prompt: promptOf([...history, next]),
      dropped: [1, 2, 3, 4],
      last: turnOf([{ role: 'system', content: 'Be brief. Earlier turns are in a window.' }, b, B, c, C]),
      before: cutOf([a, A]),
    })

    expect(content.prompt.messages.slice(1)).toEqual([b, B, c, C])
    expect(content.textFrom).toBeUndefined()
  })

  it('matches the newest occurrence if the same words occur twice', () => {
    const twice = [system, a, A, a, A, c, C]

    const content = contentBeforeCut({
      rules,
      prompt: promptOf([...twice, next]),
      dropped: [1, 2, 3, 4],
      last: turnOf([system, a, A, c, C]),
      before: cutOf([a, A]),
    })

    expect(content.prompt.messages).toEqual([system, a, A, c, C])
  })

  it.each([
    ['an early message was edited since', [system, user('other'), ...history.slice(2)], history],
    ['its reply is not in the history', [...history.slice(0, 6), assistant('another reply')], history],
  ])('is the text of the request when %s', (_, messages, then) => {
    const content = contentBeforeCut({
      rules,
      prompt: promptOf([...messages, next]),
      dropped: [1, 2],
      last: turnOf(then),
      before: undefined,
    })

    expect(content).toMatchObject({ prompt: promptOf(messages), replyAt: 6, promptTokens: undefined, textFrom: 0 })
  })

  it('is text up to the newest complete exchange if the last turn is not available', () => {
    const call = {
      role: 'assistant',
      tool_calls: [{ id: '1', type: 'function', function: { name: 'f', arguments: '' } }],
    }
    const result = { role: 'tool', tool_call_id: '1', content: 'x' }

    const content = contentBeforeCut({
      rules,
      prompt: promptOf([...history, next, call, result]),
      dropped: [1, 2],
      last: undefined,
      before: undefined,
    })

    expect(content.prompt.messages).toEqual(history)
  })

  it('extends to the end of the cut, if that is later', () => {
    const call = (id: string) => ({
      role: 'assistant',
      tool_calls: [{ id, type: 'function', function: { name: 'f', arguments: '' } }],
    })
    const result = (id: string) => ({ role: 'tool', tool_call_id: id, content: 'x' })
    const messages = [system, a, call('1'), result('1'), call('2'), result('2')]

    const content = contentBeforeCut({
      rules,
      prompt: promptOf(messages),
      dropped: [2, 3],
      last: undefined,
      before: undefined,
    })

    expect(content.prompt.messages).toEqual(messages.slice(0, 4))
  })
})
