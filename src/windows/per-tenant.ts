// Runs background work on many items: a tenant's items one after the other, several tenants in parallel. So a tenant whose items take long, or
// whose slots are all taken, does not keep the others waiting.

/** Tenants worked on at once. Slots limit the work itself. */
const TENANTS_AT_ONCE = 8

/** Rejects with the first error once all work in progress has ended; nothing more is started after an error. */
export async function perTenant<T extends { readonly tenant: string }>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const groups = [...groupByTenant(items).values()]
  let failed = false
  const workOnGroups = async () => {
    for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
      for (const item of group) {
        if (failed) return
        await work(item)
      }
    }
  }
  const workers = Array.from({ length: TENANTS_AT_ONCE }, () =>
    workOnGroups().catch((thrown: unknown) => {
      failed = true
      throw thrown
    }),
  )
  const ended = await Promise.allSettled(workers)
  for (const one of ended) if (one.status === 'rejected') throw one.reason
}

function groupByTenant<T extends { readonly tenant: string }>(items: readonly T[]): ReadonlyMap<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(item.tenant)
    if (group === undefined) groups.set(item.tenant, [item])
    else group.push(item)
  }
  return groups
}
