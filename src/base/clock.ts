// Time as a value that tests can hold still.

/** Milliseconds since the epoch. */
export type Now = () => number
