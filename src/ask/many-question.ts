// A question to many windows: its options, its events, and its result.

import type { CwmError } from '../base/errors.ts'
import type { Usage } from '../base/records.ts'
import type { Caller } from '../base/tenants.ts'
import type { Passage } from '../passages/passage-index.ts'
import type { AskOptions, AskReceipt } from './ask-window.ts'
import type { Question } from './branch.ts'

/** The windows of a question, all of them the tenant's own and frozen. */
export type WindowChoice =
  | { readonly names: readonly string[] }
  /** All conditions must hold: the tag, and text in the name. */
  | { readonly tag?: string | undefined; readonly search?: string | undefined }

/** `best`: the answer that the model chooses, verbatim. `synthesize`: one answer that the model writes from all of them. */
export type Reduce = 'none' | 'best' | 'synthesize'

/** A message of a chat app that precedes the question. */
export interface ConversationTurn {
  readonly role: 'system' | 'user' | 'assistant'
  readonly text: string
}

export interface ManyQuestion extends Question, Pick<Caller, 'tenant' | 'sharer' | 'policy'> {
  readonly windows: WindowChoice
  /** Only the windows whose passages fit the question best, at most this many. Undefined: all. */
  readonly select: { readonly text: number } | undefined
  /** Windows asked at once. Undefined: as many as fit into the engine's cache, with a part of it left for chats. At most as many as the tenant may have in flight. */
  readonly parallel: number | undefined
  /** Of each window's answer, and of the reduction. Undefined: see `WindowQuestion`. */
  readonly maxTokens: number | undefined
  readonly temperature: number | undefined
  /** Most tokens to compute, as estimated before each window is asked. Undefined: no budget. */
  readonly budgetTokens: number | undefined
  readonly reduce: Reduce
  /** Served name. Undefined: the model of most of the windows. */
  readonly reduceModel: string | undefined
  /** A window that is not answered by then is left out of the reduction. Undefined: no deadline. */
  readonly deadlineMs: number | undefined
  /** Goes to the reduction only. */
  readonly conversation: readonly ConversationTurn[]
}

/** One window's answer. */
export interface AnsweredWindow {
  readonly window: string
  /** Null: the window does not contain it (`NOT FOUND`). */
  readonly answer: string | null
  /** The passage that fits the answer best. Null if none fits, or the window is not indexed. */
  readonly passage: Passage | null
  readonly usage: Usage | undefined
  readonly receipt: AskReceipt
}

export interface FailedWindow {
  readonly window: string
  readonly error: CwmError
}

export interface Reduction {
  /** Null: no window contains an answer. */
  readonly answer: string | null
  /** With `best`: the window that gave the answer. */
  readonly window: string | null
  /** The sum over all calls; undefined if there was none, or the engine reports none. */
  readonly usage: Usage | undefined
  readonly finishReason: string | null
}

/** How a budget was used. */
export interface BudgetReceipt {
  readonly tokens: number
  /** The sum of the estimates of all windows that were asked. */
  readonly estimatedTokens: number
  /** Windows that were not asked, because the budget was used up. */
  readonly stopped: number
}

/** What a question to many windows cost. Null: the engine does not report it. */
export interface ManyReceipt {
  readonly windows: number
  readonly answered: number
  readonly notFound: number
  readonly failed: number
  readonly parallel: number
  /** Sums over the answered windows. */
  readonly restoredTokens: number | null
  readonly computedTokens: number | null
  /** Tokens of all their prompts: what had to be computed without KV. */
  readonly promptTokens: number | null
  readonly completionTokens: number | null
  readonly budget: BudgetReceipt | undefined
  /** `rounds` is 0 without a reduction, and above 1 if the answers exceeded the model's context. */
  readonly reduction: {
    readonly model: string | null
    readonly rounds: number
    readonly calls: number
    readonly promptTokens: number | null
    readonly completionTokens: number | null
  }
  /** From the question to the end of the reduction. */
  readonly ms: number
  readonly warnings: readonly string[]
  readonly notes: readonly string[]
}

export type AskEvent =
  | { readonly type: 'started'; readonly windows: number; readonly parallel: number }
  | ({ readonly type: 'window' } & AnsweredWindow)
  | ({ readonly type: 'window_error' } & FailedWindow)
  /** A piece of the reduction while it is written. */
  | { readonly type: 'text'; readonly text: string }
  | ({ readonly type: 'reduction' } & Reduction)
  /** The windows' answers remain valid. */
  | { readonly type: 'reduction_error'; readonly error: CwmError }
  | { readonly type: 'receipt'; readonly receipt: ManyReceipt }

/** Everything that the events report. Windows are in the order in which they were chosen. */
export interface ManyAnswer {
  readonly answers: readonly AnsweredWindow[]
  readonly failed: readonly FailedWindow[]
  /** Undefined if none was asked for, or it failed. */
  readonly reduction: Reduction | undefined
  readonly reductionError: CwmError | undefined
  readonly receipt: ManyReceipt
}

export type ManyOptions = Omit<AskOptions, 'onText'> & {
  /**
   * Reserves memory, bytes: for the records of many windows at once, and for each answer. If it throws, the question, or the answer's window,
   * fails with that error.
   */
  readonly hold?: (bytes: number) => void
  /** Must not throw. */
  readonly onEvent: (event: AskEvent) => void
}
