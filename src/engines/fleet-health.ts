// Asks every engine of a fleet for `/health`, again and again. Passive evidence (connections that fail, breakers) comes from the requests
// themselves.

import type { Member } from './member.ts'

/** A process that is short of CPU answers late, and is not dead. */
const MIN_DEADLINE_MS = 5_000

export interface FleetHealthOptions {
  /** Time between two checks of an engine, milliseconds, above 0. An answer that takes longer, and longer than five seconds, is a failure. */
  readonly intervalMs: number
  /** The key for lists of models; undefined for engines without keys. */
  readonly apiKey: () => string | undefined
  readonly members: () => readonly Member[]
  /** Called after a check, and now and then, because a slow start ends by time. */
  readonly observe: (member: Member) => void
}

export class FleetHealth {
  readonly #options: FleetHealthOptions
  /** Members that are being checked: one that does not answer is asked once at a time. */
  readonly #checking = new Set<Member>()
  #timer: NodeJS.Timeout | undefined

  constructor(options: FleetHealthOptions) {
    this.#options = options
  }

  /** Checks all now, and from now on. */
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

  /** Asks one engine now. The list of its models is refreshed too if it is old. Never throws. */
  async check(member: Member): Promise<void> {
    if (this.#checking.has(member)) return
    this.#checking.add(member)
    try {
      const { engine } = member
      const seen = await engine.health.check(Math.max(MIN_DEADLINE_MS, this.#options.intervalMs))
      // An engine that left or was opened anew meanwhile was closed, which breaks its check and says nothing of the one that is there now.
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
