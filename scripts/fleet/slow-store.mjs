// A store that answers, but not in time: what a machine that is too busy does to a cwm. Pure.

/** A busy machine's own cause, which a quiet one does not have. */
export const TOO_SLOW = 'the store answered too late'

/** Whether the cwm of an attempt did not reach its store in time meanwhile. */
export const wasSlow = (slow, { cwm, at, end }) => slow.some((one) => one.cwm === cwm && at <= one.end && end >= one.at)
