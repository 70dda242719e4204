// The layout in Redis. Each key of a tenant carries the hash tag `{t:TENANT}`, so that one transaction finds all its keys in one slot of
// a cluster. Data of all tenants is read tenant by tenant: `cwm:{tenants}` lists them, and a tenant is listed before any of its data is
// written (`known` records that in its own slot, and every transaction requires it).
//
//   known                    the tenant is listed                       usage           hash: windows, bytes, pinned
//   choices                  its overrides of settings
//   s:ID  sb:ID  sr:ID       session, its boundaries, its responses     sessions        sorted set by last turn
//   sk:ID                    its boundaries of ranks above 0: separate, because older versions of cwm trim `sb` without regard to rank
//   idle:lasting  :passing   the same by how they end: named or after a window, and all others
//   b:DIGEST  r:ID           boundary, response: owner, expiry          expiries        sorted set of both by expiry
//   ls:LINEAGE  lw:LINEAGE   sets: its sessions, its windows            gone:LINEAGE    it is retired
//   lc:KEY  lk:LINEAGE       a shared lineage, that it is shared        shared          set of the keys of shared lineages
//   w:NAME  wp:NAME  wi:NAME window, its prompt, its token ids          by:SORT         sorted sets of all names
//   in:FIELD:VALUE           set of the names with that value           t:NAME  turns   a retained turn; set of those sessions
//   h:ID  hp:ID  hi:ID       held window, its prompt, its token ids     held            hash: the deletes of held windows, by window
//   on:ID                    set of the sessions on a window, by its id
//   d:ID  ds:ID              delete, its sequences                      deletions, open, done   sorted sets
//   y:NAME  yw:NAME          library, hash of its pending windows        libraries, open-libraries       their names
//   yp:NAME:WINDOW           the prompt of a pending window
//   um:HOUR  uh:DAY          ledger: hashes of an hour's minutes, of a day's hours       ledgers         these by expiry
//   us:SOURCE:TENANT         the last addition of one process, for as long as it may be repeated
//   newer-open               open deletes of held windows and of requests: separate, because older versions of cwm would finish them
//
// Others: `{meta}`, `{tenants}`, `{audit}` (successes, and `failed:`), `{events}` (one stream, and from which id it is complete), `{turns}`
// (the size of all retained turns). The last three are fair by tenant: `shares` is what each has. Older versions of cwm do not maintain it, so
// each use updates it first. Also `{live}` (the running proxies), `{work:…}` (leases), `{use:…}` (who uses a window), `{logins:OWNER}` (ended logins by expiry), `{placements}` (`k:KEY`:
// an engine; `of:ENGINE`: its keys by expiry), `{engines}` (those that drain, by when that began), `{ledger}` (tenants by their last addition), `{rate:OWNER}`
// (hashes that live for a minute: what a tenant, or one of its keys, used within it), `{keys}` (API keys: `of:TENANT`, those of a tenant by name; `ids`, tenant and
// name of each; `used`, last uses by id; `tenants`, the revision at which each tenant's keys changed; `revision`).

import { DAY_MS, HOUR_MS, type LedgerUnit } from '../ledger-methods.ts'

/** The span of one hash of the ledger, milliseconds. */
export const LEDGER_SPAN_MS: Readonly<Record<LedgerUnit, number>> = { minute: HOUR_MS, hour: DAY_MS }

/** The names of one tenant's keys. */
export class TenantKeys {
  readonly #root: string

  constructor(prefix: string, tenant: string) {
    this.#root = `${prefix}:{t:${encodeTenant(tenant)}}:`
  }

  get known() {
    return `${this.#root}known`
  }
  get usage() {
    return `${this.#root}usage`
  }
  get choices() {
    return `${this.#root}choices`
  }
  get sessions() {
    return `${this.#root}sessions`
  }
  idle(lasting: boolean) {
    return `${this.#root}idle:${lasting ? 'lasting' : 'passing'}`
  }
  get expiries() {
    return `${this.#root}expiries`
  }
  get shared() {
    return `${this.#root}shared`
  }
  get turns() {
    return `${this.#root}turns`
  }
  get deletions() {
    return `${this.#root}deletions`
  }
  get openDeletions() {
    return `${this.#root}open`
  }
  get doneDeletions() {
    return `${this.#root}done`
  }

  session(id: string) {
    return `${this.#root}s:${id}`
  }
  boundariesOf(sessionId: string) {
    return `${this.#root}sb:${sessionId}`
  }
  rankedBoundariesOf(sessionId: string) {
    return `${this.#root}sk:${sessionId}`
  }
  responsesOf(sessionId: string) {
    return `${this.#root}sr:${sessionId}`
  }
  boundary(digest: string) {
    return `${this.#root}b:${digest}`
  }
  response(id: string) {
    return `${this.#root}r:${id}`
  }
  /** The key of a member of `expiries`: `b:DIGEST` or `r:ID`. */
  expiring(member: string) {
    return `${this.#root}${member}`
  }
  turn(sessionId: string) {
    return `${this.#root}t:${sessionId}`
  }

  sessionsOf(lineage: string) {
    return `${this.#root}ls:${lineage}`
  }
  windowsOf(lineage: string) {
    return `${this.#root}lw:${lineage}`
  }
  retired(lineage: string) {
    return `${this.#root}gone:${lineage}`
  }
  sharedLineage(key: string) {
    return `${this.#root}lc:${key}`
  }
  isShared(lineage: string) {
    return `${this.#root}lk:${lineage}`
  }

  window(name: string) {
    return `${this.#root}w:${name}`
  }
  prompt(name: string) {
    return `${this.#root}wp:${name}`
  }
  tokenIds(name: string) {
    return `${this.#root}wi:${name}`
  }
  windowsBy(sort: 'created' | 'name' | 'thawed' | 'tokens') {
    return `${this.#root}by:${sort}`
  }
  windowsIn(field: 'tag' | 'model' | 'state' | 'pin' | 'session' | 'parent', value: string) {
    return `${this.#root}in:${field}:${value}`
  }

  /** Of a window's id, not its name, like the next three. */
  heldWindow(id: string) {
    return `${this.#root}h:${id}`
  }
  heldPrompt(id: string) {
    return `${this.#root}hp:${id}`
  }
  heldTokenIds(id: string) {
    return `${this.#root}hi:${id}`
  }
  sessionsOn(id: string) {
    return `${this.#root}on:${id}`
  }
  get held() {
    return `${this.#root}held`
  }
  get newerDeletions() {
    return `${this.#root}newer-open`
  }

  library(name: string) {
    return `${this.#root}y:${name}`
  }
  /** By window: whether it is done. */
  libraryParts(name: string) {
    return `${this.#root}yw:${name}`
  }
  libraryPart(name: string, window: string) {
    return `${this.#root}yp:${name}:${window}`
  }
  get libraries() {
    return `${this.#root}libraries`
  }
  get openLibraries() {
    return `${this.#root}open-libraries`
  }

  /** The hash with this minute or hour, milliseconds since the epoch. */
  ledger(unit: LedgerUnit, at: number) {
    return `${this.#root}u${unit === 'minute' ? 'm' : 'h'}:${Math.floor(at / LEDGER_SPAN_MS[unit])}`
  }
  get ledgers() {
    return `${this.#root}ledgers`
  }
  /** `tenant`: whose counts they were, if they are collected under another. */
  ledgerSource(source: string, tenant: string) {
    return `${this.#root}us:${source}:${encodeTenant(tenant)}`
  }

  deletion(id: string) {
    return `${this.#root}d:${id}`
  }
  sequences(deletionId: string) {
    return `${this.#root}ds:${deletionId}`
  }
}

/** The names of the keys of one audit log: all entries by time, those of a tenant, their contents, and how many each tenant has. */
export interface AuditKeys {
  readonly all: string
  readonly entries: string
  readonly shares: string
  readonly of: (tenant: string) => string
}

function auditKeys(root: string): AuditKeys {
  const of = (tenant: string) => `${root}t:${encodeTenant(tenant)}`
  return { all: `${root}all`, entries: `${root}entries`, shares: `${root}shares`, of }
}

/** The names of keys without a tenant. */
export class SharedKeys {
  readonly #prefix: string
  readonly audit: AuditKeys
  readonly failedAudit: AuditKeys

  constructor(prefix: string) {
    this.#prefix = prefix
    this.audit = auditKeys(`${prefix}:{audit}:`)
    this.failedAudit = auditKeys(`${prefix}:{audit}:failed:`)
  }

  get schema() {
    return `${this.#prefix}:{meta}:schema`
  }
  meta(key: string) {
    return `${this.#prefix}:{meta}:m:${key}`
  }
  get tenants() {
    return `${this.#prefix}:{tenants}`
  }
  get processes() {
    return `${this.#prefix}:{live}:processes`
  }
  get changes() {
    return `${this.#prefix}:{live}:changes`
  }
  get turnOrder() {
    return `${this.#prefix}:{turns}:order`
  }
  get turnBytes() {
    return `${this.#prefix}:{turns}:bytes`
  }
  get turnTotals() {
    return `${this.#prefix}:{turns}:totals`
  }
  get turnQueue() {
    return `${this.#prefix}:{turns}:queue`
  }
  get turnShares() {
    return `${this.#prefix}:{turns}:shares`
  }
  get turnsUsed() {
    return `${this.#prefix}:{turns}:used`
  }
  lease(name: string) {
    return `${this.#prefix}:{work:${encodeURIComponent(name)}}`
  }
  use(name: string) {
    return `${this.#prefix}:{use:${encodeURIComponent(name)}}`
  }
  endedLogins(owner: string) {
    return `${this.#prefix}:{logins:${encodeURIComponent(owner)}}`
  }
  placement(key: string) {
    return `${this.#prefix}:{placements}:k:${key}`
  }
  placementsOf(engine: string) {
    return `${this.#prefix}:{placements}:of:${engine}`
  }
  get drainingEngines() {
    return `${this.#prefix}:{engines}:draining`
  }
  apiKeysOf(tenant: string) {
    return `${this.#prefix}:{keys}:of:${encodeTenant(tenant)}`
  }
  get apiKeyIds() {
    return `${this.#prefix}:{keys}:ids`
  }
  get apiKeyUses() {
    return `${this.#prefix}:{keys}:used`
  }
  get apiKeyTenants() {
    return `${this.#prefix}:{keys}:tenants`
  }
  get apiKeysRevision() {
    return `${this.#prefix}:{keys}:revision`
  }
  get ledgerTenants() {
    return `${this.#prefix}:{ledger}:tenants`
  }
  /** What an account used within a minute. All accounts of an owner are in one slot. */
  rate(owner: string, account: string) {
    return `${this.#prefix}:{rate:${encodeURIComponent(owner)}}:${encodeURIComponent(account)}`
  }
  get eventIds() {
    return `${this.#prefix}:{events}:ids`
  }
  get eventShares() {
    return `${this.#prefix}:{events}:shares`
  }
  get eventsDropped() {
    return `${this.#prefix}:{events}:dropped`
  }
  get eventState() {
    return `${this.#prefix}:{events}:state`
  }
  get events() {
    return `${this.#prefix}:{events}:all`
  }
  get eventsFrom() {
    return `${this.#prefix}:{events}:from`
  }
}

/** A tenant's id without `{`, `}`, `/` and spaces, so that it cannot end a hash tag, and a member `TENANT/NAME` can be split. */
export function encodeTenant(tenant: string): string {
  return encodeURIComponent(tenant)
}

/** `TENANT/NAME`, for lists of all tenants. */
export function memberOf(tenant: string, name: string): string {
  return `${encodeTenant(tenant)}/${name}`
}

export function partsOf(member: string): readonly [tenant: string, name: string] {
  const slash = member.indexOf('/')
  return [decodeURIComponent(member.slice(0, slash)), member.slice(slash + 1)]
}
