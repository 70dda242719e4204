// Where finished requests and warm calls are reported for the ledger.

import type { Usage } from './records.ts'

/** Whose request it was. */
export interface UsageOwner {
  readonly tenant: string
  /** The key's name, as in the audit log. Never a key. */
  readonly key: string
  /** As the client named it. */
  readonly model: string | undefined
}

export interface FinishedRequest {
  /** `aborted`: the client left before the end of its answer. */
  readonly outcome: 'ok' | 'error' | 'aborted'
  /** Undefined if it was not read. */
  readonly usage?: Usage | undefined
  /** From dispatch to the first byte, milliseconds. */
  readonly firstTokenMs?: number | undefined
  /** How long it waited for a slot, milliseconds. */
  readonly queuedMs?: number | undefined
  /** Its cached tokens were loaded from a window: a question to one. */
  readonly restores?: boolean
}

/** A warm call of a freeze or thaw. Null: the engine did not report it. */
export interface WarmedTokens {
  readonly cachedTokens: number | null
  readonly computedTokens: number | null
  /** The cached ones count as restored: a thaw. */
  readonly restores: boolean
}

/** Implementations must not throw, wait, or take long: they are called for every request. */
export interface UsageSink {
  finished(owner: UsageOwner, request: FinishedRequest): void
  warmed(owner: UsageOwner, tokens: WarmedTokens): void
}

/** Runs a request of cwm itself, and reports how it ended. Rethrows what it throws. */
export async function recorded<T>(
  sink: UsageSink,
  owner: UsageOwner,
  signal: AbortSignal,
  work: () => Promise<Omit<FinishedRequest, 'outcome'> & { readonly answer: T }>,
): Promise<T> {
  try {
    const { answer, ...facts } = await work()
    sink.finished(owner, { outcome: 'ok', ...facts })
    return answer
  } catch (thrown) {
    sink.finished(owner, { outcome: signal.aborted ? 'aborted' : 'error' })
    throw thrown
  }
}
