// What is done with the headers of router-table.ts: which of a client's are taken out, and which of an answer's.

import { type RouterNames, routerPrefixes, routerTable } from './router-table.ts'

function namesOf(pick: (names: RouterNames) => readonly string[] | undefined): ReadonlySet<string> {
  return new Set(routerTable.flatMap((names) => pick(names) ?? []))
}

const rejected = namesOf((names) => names.rejected)
const steering = namesOf((names) => names.steering)
const spreading = namesOf((names) => names.spreading)
const answers = namesOf((names) => names.answers)

/** The request headers that name a session to some router or engine, lower case. */
export const sessionHeaders = namesOf((names) => names.session)

/** The body fields that routers and engines are steered by, as `field` or `object.field`. */
export const routerFields: readonly string[] = [...namesOf((names) => names.fields)]

/** Undefined: the header is forwarded. */
export type Treatment = 'rejected' | 'removed' | undefined

/** What is done with a client's request header. `lower`: its name in lower case. */
export type HeaderRule = (lower: string) => Treatment

function hasRouterPrefix(lower: string): boolean {
  return lower.startsWith('x-') && routerPrefixes.some((prefix) => lower.startsWith(prefix))
}

/** Without an affinity header: session ids are not removed, because each turn replaces their values. */
export function withoutAffinity(lower: string): Treatment {
  if (rejected.has(lower)) return 'rejected'
  return steering.has(lower) || hasRouterPrefix(lower) ? 'removed' : undefined
}

/** With affinity headers under these names (lower case): nothing else may place a request. */
export function withAffinity(own: ReadonlySet<string>): HeaderRule {
  return (lower) => {
    const treatment = withoutAffinity(lower)
    if (treatment !== undefined) return treatment
    return sessionHeaders.has(lower) || spreading.has(lower) || own.has(lower) ? 'removed' : undefined
  }
}

/** Whether an answer's header names a worker, so that clients must not see it. */
export function namesWorker(lower: string): boolean {
  return answers.has(lower) || lower.startsWith('x-dynamo-') || lower.startsWith('x-gateway-destination-')
}
