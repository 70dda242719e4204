// Names that are reserved in this process for windows whose turns are still being answered. A lease keeps other processes from taking them.

import { CwmError } from '../base/errors.ts'
import { isReservedName, isWindowName, windowNameRule } from '../base/ids.ts'
import type { TenantPolicy } from '../base/tenants.ts'
import type { Store } from '../store/store.ts'
import { acquireLease, type Lease, leaseKeys } from './lease.ts'
import { nameTaken, notStored } from './new-window.ts'

/** A name reserved for a freeze whose turn is still being answered. Use it once, or release it. */
export interface NameReservation {
  readonly name: string
  release(): void
}

export interface NameReservationParts {
  readonly store: Pick<Store, 'getWindow' | 'usageOf' | 'acquireLease' | 'releaseLease'>
  readonly policyOf: (tenant: string) => TenantPolicy
  /** Called when a name is no longer reserved. */
  readonly onRelease: (tenant: string, name: string) => void
}

/** Reserved names per process: no more turns than that can be in flight. */
const MAX_RESERVATIONS = 100_000

export class NameReservations {
  readonly #parts: NameReservationParts
  readonly #reserved = new Map<string, symbol>()

  constructor(parts: NameReservationParts) {
    this.#parts = parts
  }

  has(tenant: string, name: string): boolean {
    return this.#reserved.has(keyOf(tenant, name))
  }

  /** Reserves a name that a client chose. Throws `INVALID_FIELD` for an invalid one, and what `reserveAuto` throws. */
  async reserve(tenant: string, name: string): Promise<NameReservation> {
    if (!isWindowName(name) || isReservedName(name)) {
      const rule = isReservedName(name)
        ? 'names that start with "auto." are reserved for cwm'
        : `a window name must be ${windowNameRule}`
      throw new CwmError('INVALID_FIELD', rule, { param: 'name' })
    }
    return await this.reserveAuto(tenant, name)
  }

  /** Reserves a name that cwm generated. Throws `WINDOW_NAME_TAKEN`, `QUOTA_EXCEEDED` and `BUSY`. The name of a failed freeze is free. */
  async reserveAuto(tenant: string, name: string): Promise<NameReservation> {
    const key = keyOf(tenant, name)
    if (this.#reserved.has(key)) throw nameTaken(name)
    await this.#checkCount(tenant)
    if (this.#reserved.size >= MAX_RESERVATIONS) {
      throw new CwmError('BUSY', 'too many windows are about to be frozen; retry later')
    }
    const token = Symbol(name)
    this.#reserved.set(key, token)
    let held: Lease | undefined
    const release = () => {
      if (this.#reserved.get(key) !== token) return
      this.#reserved.delete(key)
      held?.release()
      this.#parts.onRelease(tenant, name)
    }
    try {
      held = await acquireLease(this.#parts.store, leaseKeys.name(tenant, name))
      if (held === undefined) throw nameTaken(name)
      const known = await this.#parts.store.getWindow(tenant, name)
      if (known !== undefined && (known.state !== 'failed' || known.pin !== 'none')) throw nameTaken(name)
    } catch (error) {
      release()
      throw error
    }
    return { name, release }
  }

  /** Rejects early, before a turn is spent on a freeze that cannot be stored. The binding check is made when the window is stored. */
  async #checkCount(tenant: string): Promise<void> {
    const { maxWindows } = this.#parts.policyOf(tenant)
    if (maxWindows === undefined) return
    if ((await this.#parts.store.usageOf(tenant)).windows >= maxWindows) throw notStored('too_many', '')
  }
}

/** A window's name among those of all tenants. */
export function keyOf(tenant: string, name: string): string {
  return JSON.stringify([tenant, name])
}
