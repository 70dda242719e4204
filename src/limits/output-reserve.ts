// Whether a turn fits: the model's limit, and the room that an answer wants beside the prompt.

/** Room that is kept for an answer whose length the client did not bound, or bounded higher; tokens. */
const MAX_RESERVE = 1024
/** In a small context it is no more than this share. */
const RESERVE_SHARE = 1 / 8

/** Tokens kept free for an answer. */
export function defaultReserve(limit: number): number {
  return Math.min(MAX_RESERVE, Math.floor(limit * RESERVE_SHARE))
}

/** Tokens of room that a turn wants beside its prompt; `maxTokens` is what the client asked for at most. */
export function outputReserve(maxTokens: number | undefined, limit: number): number {
  return Math.min(maxTokens ?? Number.POSITIVE_INFINITY, defaultReserve(limit))
}
