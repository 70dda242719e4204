// Which report the tab of usage shows: in the address, in the form, and as REST's query.

import type { Ctx, Viewer } from '../bindings.ts'

const HOUR_MS = 3_600_000

export const spans = {
  day: { title: 'Last 24 hours', ms: 24 * HOUR_MS },
  week: { title: 'Last 7 days', ms: 7 * 24 * HOUR_MS },
  month: { title: 'Last 30 days', ms: 30 * 24 * HOUR_MS },
} as const
type Span = keyof typeof spans

/** What a report may be grouped by, in the order of its columns. Hours and days are UTC. */
export const groups = { hour: 'Hour', day: 'Day', tenant: 'Tenant', key: 'Key', model: 'Model' } as const
export type Group = keyof typeof groups

export interface UsageChoice {
  readonly span: Span
  readonly by: readonly Group[]
}

const isAllTenants = ({ isOperator, tenant }: Viewer) => isOperator && tenant === undefined

/** Tenants are a column for the operator only. */
export const groupsFor = (viewer: Viewer): Group[] =>
  (Object.keys(groups) as Group[]).filter((group) => group !== 'tenant' || isAllTenants(viewer))

export function readChoice(c: Ctx, viewer: Viewer): UsageChoice {
  const asked = c.req.query('span') ?? ''
  const given = c.req.queries('by') ?? []
  const by = groupsFor(viewer).filter((group) => given.includes(group))
  const defaults: Group[] = isAllTenants(viewer) ? ['tenant', 'model'] : ['key', 'model']
  return { span: Object.hasOwn(spans, asked) ? (asked as Span) : 'day', by: by.length === 0 ? defaults : by }
}

/** Appended to the address of the tab, or of its file. */
export function choiceQuery({ span, by }: UsageChoice): string {
  const query = new URLSearchParams({ span })
  for (const group of by) query.append('by', group)
  return String(query)
}

/** REST's address. Of hour and day, the hour counts. */
export function reportPath({ span, by }: UsageChoice, now: number, format: 'json' | 'csv'): string {
  const from = new Date(now - spans[span].ms).toISOString()
  const dimensions = by.includes('hour') ? by.filter((group) => group !== 'day') : by
  return `/cwm/v1/usage?${new URLSearchParams({ from, by: dimensions.join(','), format })}`
}
