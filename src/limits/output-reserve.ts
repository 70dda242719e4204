// The room that an answer needs beside the prompt, within the model's limit.

/** Tokens reserved for an answer if the client sets no bound, or a higher one. */
const MAX_RESERVE = 1024
/** In a small context at most this share is reserved. */
const RESERVE_SHARE = 1 / 8

/** Tokens reserved for an answer by default. */
export function defaultReserve(limit: number): number {
  return Math.min(MAX_RESERVE, Math.floor(limit * RESERVE_SHARE))
}

/** Tokens that a turn needs beside its prompt; `maxTokens` is the client's bound. */
export function outputReserve(maxTokens: number | undefined, limit: number): number {
  return Math.min(maxTokens ?? Number.POSITIVE_INFINITY, defaultReserve(limit))
}
