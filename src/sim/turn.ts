// One chat turn of any dialect: its prompt ids, the planned replies, and its run as a prefill and steps.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { answersFor, type Utterance } from './answer.ts'
import { type Engine, type Generation, generate, type Limits, type Prefill, type Reply, type Step } from './engine.ts'
import type { SimSettings } from './options.ts'
import type { CacheSpace } from './prefix-cache.ts'
import type { Script } from './script.ts'
import { fixedReply } from './structured-outputs.ts'
import { decodeIds } from './tokenizer.ts'
import type { ToolOffer } from './tool-offer.ts'

/** Shared by all routes of the engine. */
export interface Core {
  readonly settings: SimSettings
  readonly engine: Engine
  readonly script: Script
}

export interface Turn {
  readonly ids: readonly number[]
  readonly space: CacheSpace
  readonly generations: readonly Generation[]
}

/**
 * The replies to a conversation, in this order of precedence: fixed by the request, scripted, forced by `tool_choice`, or quoted from the
 * context.
 */
export function repliesTo(
  core: Core,
  body: JsonObject,
  messages: readonly Utterance[],
  tools: ToolOffer,
  count: number,
): Reply[] {
  const fixed = fixedReply(body, tools)
  if (fixed) return Array.from({ length: count }, () => fixed)
  const scripted = core.script.next(tools.names.length > 0)
  if (scripted) {
    const toolCalls = scripted.toolCalls?.map(({ name, arguments: given }) => ({
      name,
      arguments: typeof given === 'string' ? given : JSON.stringify(given),
    }))
    return Array.from({ length: count }, () => ({ ...scripted, toolCalls: toolCalls ?? [] }))
  }
  const forced = tools.named ?? (tools.required ? tools.names[0] : undefined)
  if (forced !== undefined) {
    return Array.from({ length: count }, () => ({ toolCalls: [{ name: forced, arguments: '{}' }] }))
  }
  return answersFor(messages, count).map((content) => ({ content }))
}

/** The text of a message, with its parts joined; images have none. */
export function utterance(message: JsonObject): Utterance {
  const { content, role } = message
  const parts = Array.isArray(content) ? (content as readonly JsonValue[]) : [content ?? '']
  const texts = parts.map((part) => (typeof part === 'string' ? part : isObject(part) ? (part.text ?? '') : ''))
  return { role: String(role), text: texts.join('\n') }
}

export function turnOf(ids: readonly number[], space: CacheSpace, replies: readonly Reply[], limits: Limits): Turn {
  return { ids, space, generations: replies.map((reply) => generate(reply, limits)) }
}

/** Runs the whole turn and waits for its end. */
export async function runWhole(core: Core, turn: Turn, signal: AbortSignal): Promise<Prefill> {
  let prefill: Prefill | undefined
  for await (const event of runSteps(core, turn, signal)) if (event.kind === 'prefill') prefill = event.prefill
  return prefill ?? { cached: 0, created: 0 }
}

export type TurnEvent =
  | { readonly kind: 'prefill'; readonly prefill: Prefill }
  /** `last`: the step ends its choice. `tokens`: the choice's completion tokens so far. */
  | {
      readonly kind: 'step'
      readonly choice: number
      readonly step: Step
      readonly last: boolean
      readonly tokens: number
    }

/** Runs the turn: first the prefill, then a step of each choice in rotation. */
export async function* runSteps(core: Core, turn: Turn, signal: AbortSignal): AsyncGenerator<TurnEvent> {
  core.engine.running++
  try {
    yield { kind: 'prefill', prefill: await core.engine.prefill(turn.ids, turn.space, signal) }
    const longest = Math.max(...turn.generations.map(({ steps }) => steps.length))
    const tokens = turn.generations.map(() => 0)
    for (let at = 0; at < longest; at++) {
      await core.engine.decode(Math.max(...turn.generations.map(({ steps }) => steps[at]?.ids.length ?? 0)), signal)
      for (const [choice, { steps }] of turn.generations.entries()) {
        const step = steps[at]
        if (step === undefined) continue
        tokens[choice] = (tokens[choice] ?? 0) + step.ids.length
        yield { kind: 'step', choice, step, last: at === steps.length - 1, tokens: tokens[choice] }
      }
    }
    for (const { ids } of turn.generations) core.engine.cacheAnswer(turn.ids, ids, turn.space)
  } finally {
    core.engine.running--
  }
}

/** Completion tokens of all choices. */
export const completionTokens = (turn: Turn): number => turn.generations.reduce((sum, { ids }) => sum + ids.length, 0)

/** The text of one kind in a generation. */
export function spokenText(generation: Generation, kind: 'content' | 'reasoning'): string {
  return generation.steps
    .flatMap((step) => step.deltas)
    .map((delta) => (delta.kind === kind ? delta.text : ''))
    .join('')
}

/** The tool calls in a generation. */
export function toolCallsOf(generation: Generation): { name: string; arguments: string }[] {
  const calls: { name: string; arguments: string }[] = []
  for (const delta of generation.steps.flatMap((step) => step.deltas)) {
    if (delta.kind === 'call') calls.push({ name: delta.name, arguments: '' })
    const call = calls.at(-1)
    if (delta.kind === 'arguments' && call) call.arguments += delta.text
  }
  return calls
}

/** Converts a bare prompt to a conversation: its last line is the question, the sentences before it the context. */
export function promptUtterances(prompt: readonly number[]): Utterance[] {
  const lines = decodeIds(prompt)
    .replaceAll(/<\|im_start\|>\w*/g, '')
    .replaceAll('<|im_end|>', '')
    .trim()
    .split('\n')
  return [
    { role: 'user', text: lines.slice(0, -1).join('\n') },
    { role: 'user', text: lines.at(-1) ?? '' },
  ]
}
