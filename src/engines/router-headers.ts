// Applies router-table.ts: which headers are removed from requests and answers, and which are rejected.

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

/** The body fields that steer routers and engines, as `field` or `object.field`. */
export const routerFields: readonly string[] = [...namesOf((names) => names.fields)]

/** Undefined: the header is forwarded. */
export type Treatment = 'rejected' | 'removed' | undefined

/** Decides what cwm does with a client's request header. `lower`: its name in lower case. */
export type HeaderRule = (lower: string) => Treatment

const hasRouterPrefix = new RegExp(`^(?:${routerPrefixes.join('|')})`)

/** Names outside the table whose treatment a rule remembers. Clients choose names, so beyond that each is examined again. */
const MAX_REMEMBERED = 1_000

/** Built once. The headers of most requests have been seen before, so each costs one lookup. */
function ruleFrom(removed: Iterable<string>): HeaderRule {
  const treatments = new Map<string, Treatment>()
  for (const name of removed) treatments.set(name, 'removed')
  for (const name of rejected) treatments.set(name, 'rejected')
  const most = treatments.size + MAX_REMEMBERED
  return (lower) => {
    const known = treatments.get(lower)
    if (known !== undefined || treatments.has(lower)) return known
    const treatment = hasRouterPrefix.test(lower) ? 'removed' : undefined
    if (treatments.size < most) treatments.set(lower, treatment)
    return treatment
  }
}

/** Without an affinity header: session ids are not removed, because each turn replaces their values. */
export const withoutAffinity: HeaderRule = ruleFrom(steering)

/** The same for requests that belong to no session, where nothing replaces what would name one. */
export const withoutSession: HeaderRule = ruleFrom([...steering, ...sessionHeaders])

/** With affinity headers under these names (lower case): nothing else may place a request. */
export function withAffinity(own: ReadonlySet<string>): HeaderRule {
  return ruleFrom([...steering, ...spreading, ...sessionHeaders, ...own])
}

/** Whether an answer's header names a worker, so that clients must not see it. */
export function namesWorker(lower: string): boolean {
  return answers.has(lower) || lower.startsWith('x-dynamo-') || lower.startsWith('x-gateway-destination-')
}
