// MCP tools that ask windows: one, and many at once.

import { z } from 'zod'
import type { AskBody, WindowAnswerJson } from '../wire/asks.ts'
import type { ManyAnswerJson, ManyAskBody } from '../wire/many-asks.ts'
import { readOnly, type Tool, ToolError, tool } from './tool.ts'
import { windowPath } from './window-tools.ts'

export const askTools: readonly Tool[] = [
  tool({
    name: 'window_ask',
    description: 'Ask a window a question without restoring it in a session; nothing is added to it',
    input: z.strictObject({
      window_name: z.string(),
      question: z.string(),
      instructions: z.string().optional().describe('How to answer'),
      max_tokens: z.int().min(1).optional(),
    }),
    annotations: readOnly,
    run: async ({ window_name: name, question, instructions, max_tokens }, call) => {
      const body: AskBody = {
        question,
        ...(instructions === undefined ? {} : { instructions }),
        ...(max_tokens === undefined ? {} : { max_tokens }),
      }
      return await call.progress(`asking ${name}`, () =>
        call.ask<WindowAnswerJson>('POST', `${windowPath(name)}/ask`, body),
      )
    },
  }),
  tool({
    name: 'windows_ask',
    description: 'Ask many windows a question at once; returns one combined answer',
    input: z.strictObject({
      question: z.string(),
      window_names: z.array(z.string()).optional(),
      tag: z.string().optional().describe('Instead of names: all windows with this tag'),
      select: z.int().min(1).optional().describe('Ask only the n windows whose text fits best'),
      reduce: z.enum(['synthesize', 'best', 'none']).optional().describe('none: each answer'),
      max_tokens: z.int().min(1).optional(),
    }),
    annotations: readOnly,
    run: async ({ question, window_names: names, tag, select, reduce = 'synthesize', max_tokens }, call) => {
      if ((names === undefined) === (tag === undefined)) throw new ToolError('give either window_names or tag')
      const body: ManyAskBody = {
        question,
        windows: names === undefined ? { tag } : { names },
        ...(select === undefined ? {} : { select: { text: select } }),
        reduce,
        ...(max_tokens === undefined ? {} : { max_tokens }),
        stream: false,
      }
      const what = names === undefined ? `windows with the tag ${tag}` : `${names.length} windows`
      const answer = await call.progress(`asking ${what}`, () => call.ask<ManyAnswerJson>('POST', '/cwm/v1/ask', body))
      return summarize(answer)
    },
  }),
]

/** One answer, or each of them. Windows without one are only counted. Receipts of single windows are left out. */
function summarize({ answers, failed, reduction, reduction_error, receipt }: ManyAnswerJson) {
  const found = answers.filter(({ answer }) => answer !== null)
  const { windows, not_found, restored_tokens, computed_tokens, ms } = receipt
  return {
    ...(reduction === null
      ? { answers: found.map(({ window, answer }) => ({ window, answer })) }
      : {
          answer: reduction.answer,
          ...(reduction.window === null ? {} : { window: reduction.window }),
          answered_by: found.map(({ window }) => window),
        }),
    ...(reduction_error === null ? {} : { reduction_error: reduction_error.message }),
    ...(failed.length === 0 ? {} : { failed: failed.map(({ window, error }) => ({ window, error: error.message })) }),
    receipt: { windows, not_found, restored_tokens, computed_tokens, ms },
  }
}
