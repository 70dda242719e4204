// The event stream of POST /v1/responses: numbered, named events, one output item after the other.

import type { JsonObject } from '../base/json.ts'
import type { Prefill } from './engine.ts'
import { newId, newUnderscoreId } from './ids.ts'
import { callItem, type Draft, messageItem, responseOf, usageOf } from './responses-shape.ts'
import { namedEvent } from './sse.ts'
import { type Core, runSteps } from './turn.ts'

/** An output item in progress. */
interface Open {
  readonly kind: 'message' | 'call'
  readonly id: string
  readonly callId: string
  readonly name: string
  text: string
}

class Writer {
  readonly output: JsonObject[] = []
  #sequence = 0
  #open: Open | undefined

  /** An event with its keys in the recorded order: the type is last, except for `tail`. */
  event(type: string, fields: object, tail: object = {}): string {
    return namedEvent({ ...fields, sequence_number: this.#sequence++, type, ...tail })
  }

  *message(text: string): Generator<string> {
    if (this.#open?.kind !== 'message') {
      yield* this.close()
      const open = this.#begin('message', '')
      yield this.event('response.output_item.added', {
        item: messageItem(open.id, 'in_progress'),
        output_index: this.output.length,
      })
      const part = { annotations: [], text: '', type: 'output_text', logprobs: [] }
      yield this.event('response.content_part.added', {
        content_index: 0,
        item_id: open.id,
        output_index: this.output.length,
        part,
      })
    }
    const open = this.#open
    if (open === undefined) return
    open.text += text
    const at = { item_id: open.id, logprobs: [], output_index: this.output.length }
    yield this.event('response.output_text.delta', { content_index: 0, delta: text, ...at })
  }

  *call(name: string): Generator<string> {
    yield* this.close()
    const open = this.#begin('call', name)
    const item = callItem(open.id, open.callId, 'in_progress', { name, arguments: '' })
    yield this.event('response.output_item.added', { item, output_index: this.output.length })
  }

  *arguments(text: string): Generator<string> {
    const open = this.#open
    if (open === undefined) return
    open.text += text
    const at = { item_id: open.id, output_index: this.output.length }
    yield this.event('response.function_call_arguments.delta', { delta: text, ...at })
  }

  *close(): Generator<string> {
    const open = this.#open
    if (open === undefined) return
    this.#open = undefined
    const output_index = this.output.length
    const { id: item_id, text } = open
    let item: JsonObject
    if (open.kind === 'message') {
      const part = { annotations: [], text, type: 'output_text', logprobs: null }
      const done = { content_index: 0, item_id, logprobs: [], output_index }
      const type = 'response.output_text.done'
      yield namedEvent({ ...done, sequence_number: this.#sequence++, text, type })
      yield this.event('response.content_part.done', { content_index: 0, item_id, output_index, part })
      item = messageItem(item_id, 'completed', text)
    } else {
      const done = { arguments: text, item_id, output_index }
      yield this.event('response.function_call_arguments.done', done, { name: open.name })
      item = callItem(item_id, open.callId, 'completed', { name: open.name, arguments: text })
    }
    yield this.event('response.output_item.done', { item, output_index })
    this.output.push(item)
  }

  #begin(kind: Open['kind'], name: string): Open {
    const id = newUnderscoreId(kind === 'message' ? 'msg' : 'fc')
    this.#open = { kind, id, callId: newId('chatcmpl-tool'), name, text: '' }
    return this.#open
  }
}

/** The events. `keep` receives the finished response before the last event is sent. */
export async function* responseEvents(
  core: Core,
  draft: Draft,
  keep: (response: JsonObject) => void,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const writer = new Writer()
  const begun = responseOf(draft, { output: [], usage: null, done: false })
  yield writer.event('response.created', { response: begun })
  yield writer.event('response.in_progress', { response: begun })
  let prefill: Prefill = { cached: 0, created: 0 }
  for await (const event of runSteps(core, draft.turn, signal)) {
    if (event.kind === 'prefill') {
      prefill = event.prefill
      continue
    }
    for (const delta of event.step.deltas) {
      if (delta.kind === 'content') yield* writer.message(delta.text)
      else if (delta.kind === 'call') yield* writer.call(delta.name)
      else if (delta.kind === 'arguments') yield* writer.arguments(delta.text)
    }
  }
  yield* writer.close()
  const response = responseOf(draft, { output: writer.output, usage: usageOf(core, draft.turn, prefill), done: true })
  keep(response)
  yield writer.event('response.completed', { response })
}
