// Time as a dependency that tests can control.

/** Milliseconds since the epoch. */
export type Now = () => number
