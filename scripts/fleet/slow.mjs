// Stores and engines that answer, but not in time: what a machine that is too busy does to a cwm. Pure.

/** A busy machine's own cause, which a quiet one does not have. */
export const TOO_SLOW = 'the store answered too late'

/** Whether the cwm of an attempt did not reach its store in time meanwhile. */
export const wasSlow = (slow, { cwm, at, end }) => slow.some((one) => one.cwm === cwm && at <= one.end && end >= one.at)

/** Whether a cwm took that engine for dead in this time, although it ran. */
export const wasUnseen = (slow, engine, from, to) =>
  slow.some((one) => one.engine === engine && one.at <= to && one.end >= from)
