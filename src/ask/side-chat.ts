// Answers the side requests of chat apps, which ask no window. Like a reduction, each runs under a lineage that is retired at its end.

import type { JsonValue } from '../base/json.ts'
import type { Usage } from '../base/records.ts'
import { requireModel } from '../base/tenants.ts'
import type { ManyOptions, ManyQuestion } from './many-question.ts'
import { callsOf, type ReduceParts } from './reduce.ts'
import { inFreshLineage } from './reduction-lineage.ts'

/** `maxTokens`: undefined for the default of reductions. */
export interface SideChat extends Pick<ManyQuestion, 'tenant' | 'sharer' | 'policy' | 'maxTokens' | 'temperature'> {
  /** Served name. */
  readonly model: string
  /** As the app sent them, in the form of chat completions. */
  readonly messages: readonly JsonValue[]
}

export interface SideAnswer {
  readonly text: string
  readonly usage: Usage | undefined
  readonly finishReason: string | null
}

export type SideOptions = Omit<ManyOptions, 'onEvent'> & {
  /** Called with each piece of the answer as it arrives. */
  readonly onText: (text: string) => void
}

/** Throws `FORBIDDEN_MODEL`, what admission, store and engine throw, and `CLIENT_GONE`. Its KV is deleted in any case. */
export function answerSideChat(parts: ReduceParts, chat: SideChat, options: SideOptions): Promise<SideAnswer> {
  const { tenant, policy, model, messages, temperature } = chat
  requireModel(policy, model)
  return inFreshLineage(parts, { tenant, model }, async (lineage) => {
    const calls = await callsOf(parts, chat, model, lineage, { ...options, onEvent: () => {} })
    const prompt = { dialect: 'chat', model, messages, shaping: {} } as const
    const reply = await calls.send({ prompt, temperature, onText: options.onText })
    return { ...reply, usage: calls.usage }
  })
}
