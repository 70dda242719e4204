// How tenants share the space for retained turns, in both stores and in memory. The rules are those of base/fair-map.ts.

/** Turns of a tenant that has stored none for this long are dropped before those of others, milliseconds. */
export const IDLE_MS = 3_600_000

export { LARGE_SHARE } from '../base/fair-map.ts'
