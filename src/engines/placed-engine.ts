// The engine of one piece of work: delegates to a member of the fleet. If that member cannot be reached, the work moves to the next one.

import { CwmError, toCwmError } from '../base/errors.ts'
import type { Prompt } from '../base/records.ts'
import type {
  Abort,
  AnswerSink,
  CallOptions,
  Engine,
  EngineHealth,
  EngineModels,
  OutgoingRequest,
  SpecialTokens,
  WarmCall,
  WarmResult,
} from './engine.ts'
import { Failover } from './failover.ts'
import type { Member } from './member.ts'

/** The fleet, as one piece of work uses it. */
export interface PlacedWork {
  readonly models: EngineModels
  /** Whether the member is still in the fleet, and not down. */
  isUsable(member: Member): boolean
  /** The member that gets the work if none of these can be reached. Undefined if there is no other. */
  next(tried: ReadonlySet<Member>): Member | undefined
  /** Notes that a member could not be reached. */
  failed(member: Member, error: CwmError): void
  /** The work is at another member from now on. */
  moved(from: Member, to: Member): void
}

/** Errors of calls of which no byte was written. Connections that break later have other codes. */
const UNSENT: readonly string[] = ['UPSTREAM_REFUSED', 'UPSTREAM_OPEN']

export class PlacedEngine implements Engine {
  readonly #work: PlacedWork
  #member: Member

  constructor(member: Member, work: PlacedWork) {
    this.#member = member
    this.#work = work
  }

  get id(): string {
    return this.#member.id
  }

  get origin(): string {
    return this.#member.engine.origin
  }

  get kvServer(): string | undefined {
    return this.#member.kvServer
  }

  get models(): EngineModels {
    return this.#work.models
  }

  get health(): EngineHealth {
    return this.#member.engine.health
  }

  send(request: OutgoingRequest, sink: AnswerSink): Abort {
    const tried = new Set<Member>()
    const first = this.#current()
    const next = (failed: Member, error: CwmError) => {
      this.#work.failed(failed, error)
      return this.#work.next(tried.add(failed))
    }
    return new Failover(first, { request, sink, next, started: (member) => this.#moveTo(member) }).send()
  }

  tokenIds(prompt: Prompt, options: CallOptions): Promise<Uint32Array | undefined> {
    return this.#call((engine) => engine.tokenIds(prompt, options))
  }

  countTokens(prompt: Prompt, options: CallOptions): Promise<number | undefined> {
    return this.#call((engine) => engine.countTokens(prompt, options))
  }

  countText(model: string, text: string, options: CallOptions, special?: SpecialTokens): Promise<number | undefined> {
    return this.#call((engine) => engine.countText(model, text, options, special))
  }

  /** Of the member that it is placed on. */
  cacheTokens(options: CallOptions): Promise<number | undefined> {
    return this.#current().engine.cacheTokens(options)
  }

  warm(call: WarmCall, options: CallOptions): Promise<WarmResult> {
    return this.#call((engine) => engine.warm(call, options))
  }

  /** Of the member that it is placed on. */
  end(reason: CwmError): number {
    return this.#member.engine.end(reason)
  }

  close(): Promise<void> {
    return this.#member.engine.close()
  }

  /** The member to use now: the placed one may have been removed or failed since the work was placed. */
  #current(): Member {
    const member = this.#member
    return this.#work.isUsable(member) ? member : (this.#work.next(new Set([member])) ?? member)
  }

  async #call<T>(call: (engine: Engine) => Promise<T>): Promise<T> {
    const tried = new Set<Member>()
    let firstError: CwmError | undefined
    for (let member: Member | undefined = this.#current(); member !== undefined; member = this.#work.next(tried)) {
      try {
        const result = await call(member.engine)
        this.#moveTo(member)
        return result
      } catch (thrown) {
        const error = toCwmError(thrown)
        if (!UNSENT.includes(error.code)) throw thrown
        firstError ??= error
        this.#work.failed(member, error)
        tried.add(member)
      }
    }
    throw firstError ?? new CwmError('UPSTREAM_REFUSED', 'there is no engine')
  }

  #moveTo(member: Member): void {
    const from = this.#member
    if (member === from) return
    this.#member = member
    this.#work.moved(from, member)
  }
}
