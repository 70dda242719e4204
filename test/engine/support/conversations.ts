// Conversations through the proxy with the SDKs that apps use, and what tests read from each answer.

import OpenAI from 'openai'
import { KEY } from './cwm.ts'

export type Message = OpenAI.ChatCompletionMessageParam

export interface Answer {
  readonly text: string
  readonly reply: Message
  readonly ids: readonly number[]
  readonly promptTokens: number
  readonly cachedTokens: number
  /** `x-cwm-session`, `x-cwm-window`, … without the prefix. */
  readonly cwm: Readonly<Record<string, string>>
}

export interface AskOptions {
  readonly headers?: Record<string, string>
  /** Body fields besides model and messages. */
  readonly body?: Record<string, unknown>
}

/** The variable of `npm run engine:up`: which model the engine was started with. */
export const MODEL = process.env.MODEL === 'real' ? 'smollm2' : 'tiny'

export const user = (content: string): Message => ({ role: 'user', content })
export const system = (content: string): Message => ({ role: 'system', content })

const WORDS = ['the', 'master', 'of', 'harbour', 'wrote', 'name', 'and', 'file', 'every', 'class', 'return', 'import']

/** Text of at least `tokens` tokens that starts with `mark`; each word is one token or more. */
export function longText(mark: string, tokens: number): string {
  const words = Array.from({ length: tokens }, (_, i) => WORDS[(i * i + i) % WORDS.length])
  return `${mark}: ${words.join(' ')}`
}

/** The OpenAI SDK with a base URL of the proxy. */
export function openai(url: string, { path = '/v1', key = KEY, fetch = globalThis.fetch } = {}): OpenAI {
  return new OpenAI({ baseURL: `${url}${path}`, apiKey: key, maxRetries: 0, fetch })
}

/**
 * One turn of chat at temperature 0, 16 tokens long. The penalty keeps the random model from saying one token sixteen times,
 * so that equal answers are significant.
 */
export async function ask(client: OpenAI, messages: Message[], { headers = {}, body = {} }: AskOptions = {}) {
  const { data, response } = await client.chat.completions
    .create(
      {
        model: MODEL,
        messages,
        max_tokens: 16,
        temperature: 0,
        frequency_penalty: 2,
        ...{ return_token_ids: true, ...body },
      },
      { headers },
    )
    .withResponse()
  return readAnswer(data, response)
}

function readAnswer(data: OpenAI.ChatCompletion, response: Response): Answer {
  const [choice] = data.choices
  if (choice === undefined) throw new Error('an answer without a choice')
  const { token_ids } = choice as unknown as { token_ids?: number[] }
  return {
    text: choice.message.content ?? '',
    reply: choice.message,
    ids: token_ids ?? [],
    promptTokens: data.usage?.prompt_tokens ?? Number.NaN,
    cachedTokens: data.usage?.prompt_tokens_details?.cached_tokens ?? Number.NaN,
    cwm: cwmHeaders(response.headers),
  }
}

export function cwmHeaders(headers: Headers): Record<string, string> {
  const own = [...headers].filter(([name]) => name.startsWith('x-cwm-'))
  return Object.fromEntries(own.map(([name, value]) => [name.slice('x-cwm-'.length), value]))
}

/** Prints a figure that was measured in this run. */
export function measured(what: string, figures: Readonly<Record<string, unknown>>): void {
  console.info(`measured: ${what}: ${JSON.stringify(figures)}`)
}
