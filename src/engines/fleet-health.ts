// Checks `/health` of every engine of a fleet at intervals. Passive evidence (failed connections, breakers) comes from requests.

import type { Member } from './member.ts'

/** An engine that is short of CPU answers late, but is not dead. */
const MIN_DEADLINE_MS = 5_000

export interface FleetHealthOptions {
  /** Time between two checks of an engine, milliseconds, above 0. An answer that takes longer, and longer than five seconds, is a failure. */
  readonly intervalMs: number
  /** The key for lists of models; undefined for engines without keys. */
  readonly apiKey: () => string | undefined
  readonly members: () => readonly Member[]
  /** Called after each check. Also ends slow starts, which end by time. */
  readonly observe: (member: Member) => void
}

export class FleetHealth {
  readonly #options: FleetHealthOptions
  /** Members with a check in flight: at most one per member. */
  readonly #checking = new Set<Member>()
  #timer: NodeJS.Timeout | undefined

  constructor(options: FleetHealthOptions) {
    this.#options = options
  }

  /** Checks all members now, and then at each interval. */
  start(): void {
    if (this.#timer !== undefined) return
    this.#timer = setInterval(() => void this.checkAll(), this.#options.intervalMs).unref()
    void this.checkAll()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async checkAll(): Promise<void> {
    await Promise.all(this.#options.members().map((member) => this.check(member)))
  }

  /** Checks one member now. Also refreshes its list of models if that is old. Never throws. */
  async check(member: Member): Promise<void> {
    if (this.#checking.has(member)) return
    this.#checking.add(member)
    try {
      const { engine } = member
      const seen = await engine.health.check(Math.max(MIN_DEADLINE_MS, this.#options.intervalMs))
      // An engine that has left or was reopened meanwhile was closed. That breaks its check, and says nothing about the current one.
      if (member.engine !== engine || !this.#options.members().includes(member)) return
      if (seen.ok) member.succeeded()
      else member.failed(seen.error)
      this.#options.observe(member)
      if (seen.ok) member.engine.models.limitsOf('', this.#options.apiKey())
    } finally {
      this.#checking.delete(member)
    }
  }
}
