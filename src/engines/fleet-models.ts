// The models of several engines as one list. Each limit is the smallest of all engines that serve the model, because a session may move.

import type { CwmError } from '../base/errors.ts'
import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { EngineModel, EngineModels, JsonAnswer, ModelLimits } from './engine.ts'

/** The part of a member that is used. */
export interface ModelSource {
  readonly acceptsWork: boolean
  readonly engine: { readonly models: EngineModels }
}

export class FleetModels implements EngineModels {
  readonly #sources: () => readonly ModelSource[]

  /** `sources`: the current members, at least one. */
  constructor(sources: () => readonly ModelSource[]) {
    this.#sources = sources
  }

  get isKnown(): boolean {
    return this.#all().some(({ isKnown }) => isKnown)
  }

  isServed(name: string): boolean {
    return this.#all().some((models) => models.isServed(name))
  }

  limitsOf(name: string, apiKey: string | undefined): ModelLimits {
    const all = this.#all()
    // Call every engine, because the call also refreshes its list.
    const limits = all.map((models) => models.limitsOf(name, apiKey))
    const served = limits.filter((_, i) => all[i]?.isServed(name) === true)
    return smallest(served.length === 0 ? limits : served)
  }

  async limitsToHold(name: string, apiKey: string | undefined): Promise<ModelLimits> {
    const known = this.limitsOf(name, apiKey)
    if (known.contextLimit !== undefined || this.isKnown) return known
    await Promise.all(this.#reachable().map((models) => models.limitsToHold(name, apiKey)))
    return this.limitsOf(name, apiKey)
  }

  async find(name: string, apiKey: string | undefined): Promise<EngineModel | undefined> {
    let failure: { readonly thrown: unknown } | undefined
    for (const models of byServed(this.#reachable(), name)) {
      try {
        const found = await models.find(name, apiKey)
        if (found !== undefined) return { ...found, ...this.limitsOf(name, apiKey) }
      } catch (thrown) {
        failure ??= { thrown }
      }
    }
    if (failure !== undefined) throw failure.thrown
    return undefined
  }

  setLimits(limits: Readonly<Record<string, number>>): void {
    for (const models of this.#all()) models.setLimits(limits)
  }

  /** All models of the engines that answer. Throws the first error if none does. */
  async list(apiKey: string | undefined): Promise<readonly EngineModel[]> {
    const lists = await answers(this.#reachable().map((models) => models.list(apiKey)))
    const byId = new Map<string, EngineModel>()
    for (const model of lists.flat()) {
      const other = byId.get(model.id)
      byId.set(model.id, other === undefined ? model : { ...other, ...smallest([other, model]) })
    }
    return [...byId.values()]
  }

  /** The lists of the engines that answer, as one. A model of several engines has the card with the smallest `max_model_len`. */
  async page(apiKey: string | undefined, signal: AbortSignal): Promise<JsonAnswer> {
    const pages = await answers(this.#reachable().map((models) => models.page(apiKey, signal)))
    const lists = pages.filter(({ status, body }) => status === 200 && Array.isArray(body.data))
    const [first] = lists.length === 0 ? pages : lists
    if (first === undefined) throw new Error('a fleet has at least one engine')
    return lists.length < 2 ? first : { status: 200, body: { ...first.body, data: union(lists) } }
  }

  inputLimits(cards: readonly JsonValue[]): (card: JsonObject) => number | undefined {
    const shown = this.#all()[0]?.inputLimits(cards)
    return (card) => {
      const own = shown?.(card)
      const known = typeof card.id === 'string' ? this.#contextLimit(card.id) : undefined
      if (own === undefined) return known !== undefined && isAbove(card.max_input_tokens, known) ? known : undefined
      return known === undefined ? own : Math.min(own, known)
    }
  }

  /** From what is known, without a request. */
  #contextLimit(name: string): number | undefined {
    const served = this.#all().filter((models) => models.isServed(name))
    return smallest(served.map((models) => models.limitsOf(name, undefined))).contextLimit
  }

  #all(): readonly EngineModels[] {
    return this.#sources().map(({ engine }) => engine.models)
  }

  /** The engines that accept work; all, if none does. */
  #reachable(): readonly EngineModels[] {
    const sources = this.#sources()
    const open = sources.filter(({ acceptsWork }) => acceptsWork)
    return (open.length === 0 ? sources : open).map(({ engine }) => engine.models)
  }
}

function byServed(all: readonly EngineModels[], name: string): readonly EngineModels[] {
  return all.toSorted((a, b) => Number(b.isServed(name)) - Number(a.isServed(name)))
}

function isAbove(shown: JsonValue | undefined, limit: number): boolean {
  return typeof shown === 'number' && shown > limit
}

/** The smallest of each limit; undefined if none is known. */
function smallest(limits: readonly ModelLimits[]): ModelLimits {
  return { limit: least(limits.map(({ limit }) => limit)), contextLimit: least(limits.map((l) => l.contextLimit)) }
}

function least(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}

/** The results of those that succeed. Throws the first error if none does. */
async function answers<T>(asked: readonly Promise<T>[]): Promise<readonly T[]> {
  const settled = await Promise.allSettled(asked)
  const arrived = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const [failed] = settled.filter((one) => one.status === 'rejected')
  if (arrived.length === 0 && failed !== undefined) throw failed.reason as CwmError
  return arrived
}

function union(pages: readonly JsonAnswer[]): JsonValue[] {
  const byId = new Map<string, JsonObject>()
  for (const card of pages.flatMap(({ body }) => body.data as JsonValue[])) {
    if (!isObject(card) || typeof card.id !== 'string') continue
    const other = byId.get(card.id)
    if (other === undefined || isAbove(other.max_model_len, Number(card.max_model_len))) byId.set(card.id, card)
  }
  return [...byId.values()]
}
