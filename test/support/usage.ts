// Reads usage reports, and what they should hold.

import type { UsageJson, UsageLineJson } from '../../src/wire/usage.ts'
import type { Got } from './client.ts'
import { jsonOf } from './client.ts'
import { rest } from './rest.ts'

type Headers = Record<string, string>

export const usageOf = (url: string, query = '', headers: Headers = {}): Promise<UsageJson> =>
  rest<UsageJson>(url, 'GET', `/usage${query}`, undefined, headers)

/** The only row of a report. */
export async function onlyLine(url: string, query = '', headers: Headers = {}): Promise<UsageLineJson> {
  const { data } = await usageOf(url, query, headers)
  const [line] = data
  if (line === undefined || data.length > 1) throw new Error(`the report has ${data.length} rows`)
  return line
}

/** Sums of the `usage` of answers. */
export function answeredTokens(answers: readonly Got[]): { prompt: number; completion: number } {
  const usages = answers.map(
    (got) => jsonOf<{ usage: { prompt_tokens: number; completion_tokens: number } }>(got).usage,
  )
  return {
    prompt: usages.reduce((sum, { prompt_tokens }) => sum + prompt_tokens, 0),
    completion: usages.reduce((sum, { completion_tokens }) => sum + completion_tokens, 0),
  }
}
