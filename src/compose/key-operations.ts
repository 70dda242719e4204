// The operator's operations on API keys: create, list, revoke. Every change is recorded in the audit log of the key's tenant.

import type { KeyReport, NewKey } from '../api/keys.ts'
import { keyHash, makeKey } from '../base/auth.ts'
import type { Now } from '../base/clock.ts'
import { CwmError, toCwmError } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import type { KeyRecord } from '../base/key-records.ts'
import type { RateLimit } from '../base/rates.ts'
import type { Audit } from '../journal/audit.ts'
import { positionIn, toPage } from '../store/page.ts'
import type { Page, PageRequest } from '../store/store-values.ts'
import { MAX_KEYS_PER_TENANT, type StoredKeys } from '../tenants/stored-keys.ts'
import type { Tenants } from '../tenants/tenants.ts'

export interface KeyOperationParts {
  readonly tenants: Pick<Tenants, 'areListed' | 'ids' | 'isListed' | 'keysOf'>
  readonly storedKeys: Pick<StoredKeys, 'add' | 'byId' | 'of' | 'remove' | 'sync' | 'tenants' | 'usesOf'>
  readonly audit: Pick<Audit, 'record'>
  readonly now: Now
}

const LIST = 'keys'

export class KeyOperations {
  readonly #parts: KeyOperationParts

  constructor(parts: KeyOperationParts) {
    this.#parts = parts
  }

  /**
   * Creates a key. Throws `NOT_SUPPORTED` if no tenants are listed, `TENANT_NOT_FOUND`, `INVALID_FIELD` for an expiry that has passed,
   * `KEY_NAME_TAKEN`, `QUOTA_EXCEEDED`, and `STORE_UNAVAILABLE`.
   */
  async create({
    tenant,
    name,
    expiresAt,
    rate,
  }: NewKey): Promise<{ readonly report: KeyReport; readonly secret: string }> {
    const { now } = this.#parts
    this.#requireTenant(tenant)
    if (expiresAt !== undefined && expiresAt <= now()) {
      throw new CwmError('INVALID_FIELD', 'expires_at: must be in the future', { param: 'expires_at' })
    }
    const secret = makeKey()
    const key: KeyRecord = {
      // With a prefix, because an id that began with a hyphen would be an option on the command line.
      id: `key_${randomId()}`,
      tenant,
      name,
      sha256: keyHash(secret),
      createdAt: now(),
      ...(expiresAt === undefined ? {} : { expiresAt }),
      ...(rate === undefined ? {} : { rate }),
    }
    await this.#recorded('create', key, () => this.#add(key))
    return { report: this.#reportOf(key, undefined), secret }
  }

  /**
   * By tenant, then name; a name in both the file and the store is listed twice. Throws `TENANT_NOT_FOUND`, `INVALID_FIELD` for a wrong
   * cursor, and `STORE_UNAVAILABLE`.
   */
  async list(tenant: string | undefined, page: PageRequest): Promise<Page<KeyReport>> {
    const { tenants, storedKeys } = this.#parts
    await storedKeys.sync()
    const known = [...new Set([...tenants.ids, ...storedKeys.tenants])].sort()
    if (tenant !== undefined && !known.includes(tenant)) throw tenantNotFound(tenant)
    // Ends a tenant's name, so that a cursor of one list is not valid for another.
    const list = JSON.stringify([LIST, tenant ?? null])
    const [afterTenant, afterKey] = positionIn(list, page, 'string', 'string') ?? ['', '']
    const found: KeyReport[] = []
    for (const id of tenant === undefined ? known.filter((one) => one >= afterTenant) : [tenant]) {
      const keys = this.#keysOf(id).filter((key) => id !== afterTenant || orderOf(key) > afterKey)
      found.push(...keys)
      if (found.length > page.limit) break
    }
    const { items, ...rest } = toPage(
      list,
      found,
      page.limit,
      (key) => key,
      (key) => [key.tenant, orderOf(key)],
    )
    return { items: await this.#withUses(items), ...rest }
  }

  /** Throws `KEY_NOT_FOUND`, and `STORE_UNAVAILABLE`. */
  async revoke(id: string): Promise<KeyReport> {
    const { storedKeys } = this.#parts
    if (storedKeys.byId(id) === undefined) await storedKeys.sync()
    const key = storedKeys.byId(id)
    if (key === undefined) throw keyNotFound(id)
    const [withUse] = await this.#withUses([this.#reportOf(key, undefined)])
    await this.#recorded('revoke', key, async () => {
      if ((await storedKeys.remove(id)) === undefined) throw keyNotFound(id)
    })
    return withUse ?? this.#reportOf(key, undefined)
  }

  async #add(key: KeyRecord): Promise<void> {
    const { tenants, storedKeys, now } = this.#parts
    if (tenants.keysOf(key.tenant).some(({ name }) => name === key.name)) throw nameTaken(key)
    let outcome = await storedKeys.add(key)
    if (outcome === 'too_many') {
      const expired = storedKeys.of(key.tenant).filter(({ expiresAt }) => expiresAt !== undefined && expiresAt <= now())
      for (const { id } of expired) await storedKeys.remove(id)
      if (expired.length > 0) outcome = await storedKeys.add(key)
    }
    if (outcome === 'taken') throw nameTaken(key)
    if (outcome === 'too_many') {
      throw new CwmError(
        'QUOTA_EXCEEDED',
        `tenant ${key.tenant} has ${MAX_KEYS_PER_TENANT} keys created by REST, the most that a tenant may have; revoke some first`,
        { param: 'tenant' },
      )
    }
  }

  async #recorded(action: 'create' | 'revoke', { tenant, name }: KeyRecord, work: () => Promise<void>): Promise<void> {
    const record = (outcome: string) =>
      this.#parts.audit.record({ tenant, actor: 'operator', action, target: 'key', name, outcome })
    try {
      await work()
    } catch (thrown) {
      record(toCwmError(thrown).code.toLowerCase())
      throw thrown
    }
    record('ok')
  }

  #requireTenant(tenant: string): void {
    const { tenants } = this.#parts
    if (!tenants.areListed) {
      throw new CwmError(
        'NOT_SUPPORTED',
        'the settings list no tenants, so every key is accepted as its own tenant; list tenants in the settings to create keys for them',
        { param: 'tenant' },
      )
    }
    if (!tenants.isListed(tenant)) throw tenantNotFound(tenant)
  }

  #keysOf(tenant: string): readonly KeyReport[] {
    const { tenants, storedKeys } = this.#parts
    const ofFile = tenants.keysOf(tenant).map(({ policy, ...key }) => ({ ...key, rate: policy.rates?.key }))
    const keys = [...ofFile, ...storedKeys.of(tenant)].map((key) => this.#reportOf(key, undefined))
    return keys.sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))
  }

  #reportOf(
    key: Pick<KeyRecord, 'tenant' | 'name' | 'expiresAt'> &
      Partial<Pick<KeyRecord, 'id' | 'createdAt'>> & { readonly rate?: RateLimit | undefined },
    lastUsedAt: number | undefined,
  ): KeyReport {
    const { id, tenant, name, createdAt, expiresAt, rate } = key
    const isExpired = expiresAt !== undefined && expiresAt <= this.#parts.now()
    return { id, tenant, name, createdAt, expiresAt, isExpired, rate, lastUsedAt }
  }

  async #withUses(reports: readonly KeyReport[]): Promise<readonly KeyReport[]> {
    const uses = await this.#parts.storedKeys.usesOf(reports.flatMap(({ id }) => id ?? []))
    return reports.map((report) => ({
      ...report,
      lastUsedAt: report.id === undefined ? undefined : uses.get(report.id),
    }))
  }
}

/** Within a tenant. A key of the file comes before one of the store with its name. */
function orderOf({ name, id }: KeyReport): string {
  return `${name}\n${id ?? ''}`
}

function tenantNotFound(tenant: string): CwmError {
  return new CwmError(
    'TENANT_NOT_FOUND',
    `the settings list no tenant ${JSON.stringify(tenant)}; add it there, then reload`,
    {
      param: 'tenant',
    },
  )
}

function keyNotFound(id: string): CwmError {
  return new CwmError(
    'KEY_NOT_FOUND',
    `no key that was created by REST has the id ${JSON.stringify(id)}; GET /cwm/v1/keys lists their ids (to remove a key of the settings file, edit the file)`,
    { param: 'id' },
  )
}

function nameTaken({ tenant, name }: KeyRecord): CwmError {
  return new CwmError(
    'KEY_NAME_TAKEN',
    `tenant ${tenant} has a key named ${name}; choose another name, or revoke that key`,
    {
      param: 'name',
    },
  )
}
