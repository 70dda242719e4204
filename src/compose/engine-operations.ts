// The operator's operations on engines: list, drain, resume. Every change is recorded in the audit log.

import type { EngineReport } from '../api/engines.ts'
import { CwmError, toCwmError } from '../base/errors.ts'
import type { UpstreamSetting } from '../config/upstreams.ts'
import { engineIdOf } from '../engines/engine-url.ts'
import type { EngineFleet, FleetMember } from '../engines/fleet.ts'
import type { Audit } from '../journal/audit.ts'
import type { Store } from '../store/store.ts'
import type { EngineDrains } from './engine-drains.ts'

export interface EngineOperationParts {
  readonly fleet: Pick<EngineFleet, 'members'>
  readonly drains: Pick<EngineDrains, 'has' | 'set'>
  readonly store: Pick<Store, 'countPlacements'>
  readonly audit: Pick<Audit, 'record'>
  readonly upstream: () => UpstreamSetting
  /** cwm's own key for the engines. */
  readonly apiKey: () => string | undefined
}

/** Concerns all tenants. No tenant can have this id, so no tenant sees these entries. */
const AUDIT_TENANT = '*'
/** Limit of models in a report; an engine may list thousands of adapters. */
const MAX_MODELS = 100

export class EngineOperations {
  readonly #parts: EngineOperationParts

  constructor(parts: EngineOperationParts) {
    this.#parts = parts
  }

  /** Never throws. */
  list(): Promise<EngineReport[]> {
    return Promise.all(this.#parts.fleet.members().map((member) => this.#reportOf(member)))
  }

  /** Throws `INVALID_FIELD` (no address), `ENGINE_NOT_FOUND`, `LAST_ENGINE`, and `STORE_UNAVAILABLE`. */
  drain(engine: string): Promise<EngineReport> {
    return this.#recorded('drain', engine, async (id) => {
      const member = this.#require(id)
      const others = this.#parts.fleet.members().filter((one) => one !== member)
      if (member.state !== 'draining' && !others.some(({ state }) => state === 'up' || state === 'starting')) {
        throw new CwmError(
          'LAST_ENGINE',
          `cannot drain ${id}: no other engine is up to take over its work; start, add, or resume another engine first`,
          {
            param: 'engine',
          },
        )
      }
      await this.#parts.drains.set(id, true)
    })
  }

  /** Throws as `drain`. */
  resume(engine: string): Promise<EngineReport> {
    return this.#recorded('resume', engine, async (id) => {
      // A removed engine may still be marked as draining.
      if (!this.#parts.drains.has(id)) this.#require(id)
      await this.#parts.drains.set(id, false)
      this.#require(id)
    })
  }

  async #recorded(
    action: 'drain' | 'resume',
    engine: string,
    work: (id: string) => Promise<void>,
  ): Promise<EngineReport> {
    const id = readId(engine)
    const record = (outcome: string) =>
      this.#parts.audit.record({ tenant: AUDIT_TENANT, actor: 'operator', action, target: 'engine', name: id, outcome })
    try {
      await work(id)
    } catch (thrown) {
      record(toCwmError(thrown).code.toLowerCase())
      throw thrown
    }
    record('ok')
    return await this.#reportOf(this.#require(id))
  }

  #require(id: string): FleetMember {
    const members = this.#parts.fleet.members()
    const member = members.find((one) => one.id === id)
    if (member !== undefined) return member
    const known = members.map((one) => one.id).join(', ')
    throw new CwmError('ENGINE_NOT_FOUND', `cwm has no engine ${id}; its engines are ${known}`, { param: 'engine' })
  }

  async #reportOf(member: FleetMember): Promise<EngineReport> {
    const { id, weight, state, inFlight, engine, kvServer } = member
    const { breaker, lastSeen } = engine.health
    const [models, placements] = await Promise.all([this.#modelsOf(member), this.#placementsOf(id)])
    return {
      id,
      weight,
      state,
      drainedBy: this.#drainedBySettings(id) ? 'settings' : this.#parts.drains.has(id) ? 'operator' : undefined,
      breaker,
      error: lastSeen?.ok === false ? lastSeen.error : undefined,
      inFlight,
      placements,
      models,
      kvServer,
    }
  }

  #drainedBySettings(id: string): boolean {
    const setting = this.#parts.upstream()
    return typeof setting !== 'string' && setting.some(({ url, drain }) => drain && engineIdOf(url) === id)
  }

  /** Undefined if the engine does not answer. */
  async #modelsOf({ state, engine }: FleetMember): Promise<readonly string[] | undefined> {
    if (state === 'down') return undefined
    try {
      const models = await engine.models.list(this.#parts.apiKey())
      return models.slice(0, MAX_MODELS).map(({ id }) => id)
    } catch {
      return undefined
    }
  }

  /** Undefined if the store does not answer. */
  async #placementsOf(id: string): Promise<number | undefined> {
    try {
      return await this.#parts.store.countPlacements(id)
    } catch {
      return undefined
    }
  }
}

function readId(engine: string): string {
  try {
    return engineIdOf(engine)
  } catch {
    throw new CwmError('INVALID_FIELD', 'engine: must be the address of an engine, as GET /cwm/v1/engines lists it', {
      param: 'engine',
    })
  }
}
