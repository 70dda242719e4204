// The events of a stream, kept until it ends and is read: text deltas as their texts, other events as their bytes.

import type { JsonObject } from '../base/json.ts'
import { decodeJsonEvents } from '../sse/decode.ts'
import { type DeltaRules, DeltaTemplate } from '../sse/deltas.ts'

/** Deltas change their form when reasoning ends, or with each event if several choices alternate. Only so many forms are tried. */
const MAX_TEMPLATES = 8

/** Consecutive events of one kind. */
type Run = { readonly template: DeltaTemplate; readonly texts: string[] } | { readonly bytes: Buffer[] }

export class SeenEvents {
  readonly #rules: DeltaRules | undefined
  #template: DeltaTemplate | undefined
  #tried = 0
  #runs: Run[] = []

  /** Without rules, no event is recognized as a delta. */
  constructor(rules: DeltaRules | undefined) {
    this.#rules = rules
  }

  /** Adds the bytes if they are a text delta of the known form; returns whether they are. */
  addDelta(bytes: Buffer): boolean {
    const template = this.#template
    const text = template?.match(bytes)
    if (template === undefined || text === undefined) return false
    const run = this.#runs.at(-1)
    if (run !== undefined && 'texts' in run && run.template === template) run.texts.push(text)
    else this.#runs.push({ template, texts: [text] })
    return true
  }

  /** Adds any bytes. */
  add(bytes: Buffer): void {
    const run = this.#runs.at(-1)
    if (run !== undefined && 'bytes' in run) run.bytes.push(bytes)
    else this.#runs.push({ bytes: [bytes] })
    if (this.#rules === undefined || this.#tried >= MAX_TEMPLATES) return
    this.#tried++
    this.#template = DeltaTemplate.of(bytes, this.#rules) ?? this.#template
  }

  /** All events in order; consecutive deltas as one. */
  read(): readonly JsonObject[] {
    return this.#runs.flatMap((run) =>
      'texts' in run ? run.template.eventsOf(run.texts) : decodeJsonEvents(Buffer.concat(run.bytes)),
    )
  }

  clear(): void {
    this.#runs = []
  }
}
