// Lineages of requests without a session. Those of one block differ in a number, so that one record names all of them.

/** The lineage of the request number `n` of a block. */
export function requestLineage(block: string, n: number): string {
  return `${block}.${n}`
}
