// What cwm's own calls to the engine take and return.

/** Credentials and patience of one background call. */
export interface CallOptions {
  readonly apiKey: string | undefined
  readonly signal?: AbortSignal
}

export interface WarmResult {
  /** The call's own `cached_tokens`; undefined when the engine does not report them (`--enable-prompt-tokens-details`). */
  readonly cachedTokens: number | undefined
  readonly promptTokens: number
}
