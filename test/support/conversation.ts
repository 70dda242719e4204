// Texts and simple requests shared by several tests.

import { type Ask, ask, type Got, jsonOf } from './client.ts'

export interface ChatMessage {
  readonly role: string
  readonly content: string | null
}

/** Deterministic text of at least `words` tokens. */
export function prose(words: number, seed = 'river'): string {
  const stock = ['the', seed, 'runs', 'past', 'seven', 'mills', 'and', 'carries', 'timber', 'down', 'to', 'harbour']
  return Array.from({ length: words }, (_, i) => `${stock[(i * 7 + Math.floor(i / 11)) % stock.length]}${i % 13}`).join(
    ' ',
  )
}

export const user = (content: string): ChatMessage => ({ role: 'user', content })
export const system = (content: string): ChatMessage => ({ role: 'system', content })
export const assistant = (content: string): ChatMessage => ({ role: 'assistant', content })

export interface ChatTurn {
  readonly got: Got
  readonly session: string
  readonly reply: ChatMessage
  readonly promptTokens: number
  readonly cachedTokens: number | undefined
}

interface ChatJson {
  readonly choices: readonly { readonly message: ChatMessage }[]
  readonly usage: {
    readonly prompt_tokens: number
    readonly prompt_tokens_details?: { readonly cached_tokens?: number } | null
  }
}

/** Sends a turn without streaming. Throws unless the status is 200. */
export async function chat(
  url: string,
  messages: readonly unknown[],
  options: { readonly body?: object; readonly headers?: Record<string, string>; readonly path?: string } = {},
): Promise<ChatTurn> {
  const got = await askChat(url, messages, options)
  if (got.status !== 200) throw new Error(`answered ${got.status}: ${got.text}`)
  const { choices, usage } = jsonOf<ChatJson>(got)
  const message = choices[0]?.message
  return {
    got,
    session: String(got.headers['x-cwm-session']),
    reply: { role: 'assistant', content: message?.content ?? null },
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens,
  }
}

/** The same, with any status. */
export function askChat(
  url: string,
  messages: readonly unknown[],
  options: { readonly body?: object; readonly headers?: Record<string, string>; readonly path?: string } = {},
): Promise<Got> {
  const request: Ask = {
    body: { model: 'sim-model', messages, max_tokens: 40, temperature: 0, ...options.body },
    headers: { ...options.headers },
  }
  return ask(url, options.path ?? '/v1/chat/completions', request)
}

/** Every top-level `cache_salt` of a body that reached the upstream. */
export function saltsIn(body: Buffer): string[] {
  const salts: string[] = []
  let depth = 0
  const text = body.toString('utf8')
  const tokens = text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:,]/g)
  let key: string | undefined
  let previous = ''
  for (const [token] of tokens) {
    if (token === '{' || token === '[') depth++
    else if (token === '}' || token === ']') depth--
    else if (token.startsWith('"')) {
      const value = JSON.parse(token) as string
      if (depth === 1 && previous === ':' && key === 'cache_salt') salts.push(value)
      if (depth === 1 && previous !== ':') key = value
    }
    previous = token
  }
  return salts
}
