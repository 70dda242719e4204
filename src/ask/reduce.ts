// Reduces the answers of many windows to one: the best of them, or one that is written from all. Answers that exceed the context of the model
// are reduced in rounds.

import type { Admission } from '../admission/admission.ts'
import { CwmError, isFinalRefusal } from '../base/errors.ts'
import type { RateLimiter } from '../rate-limits/rate-limiter.ts'
import type { WindowParts } from '../windows/parts.ts'
import { groupsThatFit } from './answer-groups.ts'
import type { ConversationTurn, ManyOptions, ManyQuestion, ManyReceipt, Reduction } from './many-question.ts'
import { noReduction } from './many-receipt.ts'
import { type CallsQuestion, ReductionCalls, type ReductionReply } from './reduction-calls.ts'
import { type FreshLineage, inFreshLineage } from './reduction-lineage.ts'
import { type Answer, choicePrompt, synthesisPrompt } from './reduction-prompts.ts'

export interface ReduceParts extends WindowParts {
  readonly admission: Pick<Admission, 'run'>
  readonly rates: Pick<RateLimiter, 'open'>
  /** Whether there is a KV layer, which keeps what a reduction stores. */
  readonly keepsKv: boolean
}

/** A reduction with its costs. */
export interface Reduced {
  readonly reduction: Reduction
  readonly cost: ManyReceipt['reduction']
  readonly notes: readonly string[]
}

/**
 * Reduces answers in their order. No answer, or a single one without a conversation, needs no call. Throws what the engine throws,
 * `CONTEXT_LENGTH_EXCEEDED` if two answers, or the conversation's system text, do not fit, and `CLIENT_GONE`. Its KV is deleted in any case.
 */
export async function reduceAnswers(
  parts: ReduceParts,
  asked: ManyQuestion,
  answers: readonly Answer[],
  model: string,
  options: ManyOptions,
): Promise<Reduced> {
  const [first] = answers
  if (first === undefined) {
    return {
      reduction: { answer: null, window: null, usage: undefined, finishReason: null },
      cost: noReduction,
      notes: [],
    }
  }
  if (answers.length === 1 && (asked.reduce === 'best' || asked.conversation.length === 0)) {
    if (asked.reduce === 'synthesize') options.onEvent({ type: 'text', text: first.answer })
    const reduction = { answer: first.answer, window: first.window, usage: undefined, finishReason: null }
    return { reduction, cost: noReduction, notes: ['only one window contains an answer, so no reduction was needed'] }
  }
  return await inFreshLineage(parts, { tenant: asked.tenant, model }, async (lineage) => {
    const calls = await callsOf(parts, asked, model, lineage, options)
    const work = new Reducing(asked, model, calls, options)
    const reduction = asked.reduce === 'best' ? await work.best(answers) : await work.synthesis(answers)
    const { usage, count } = calls
    const tokens = { promptTokens: usage?.promptTokens ?? null, completionTokens: usage?.completionTokens ?? null }
    return { reduction, cost: { model, rounds: work.rounds, calls: count, ...tokens }, notes: work.notes }
  })
}

/** Calls of a model under this lineage. Throws `INVALID_FIELD` if no engine serves it. */
export async function callsOf(
  { fleet, quotas, policyOf, admission, ledger, rates }: ReduceParts,
  asked: CallsQuestion,
  name: string,
  lineage: FreshLineage,
  options: ManyOptions,
): Promise<ReductionCalls> {
  const engine = await fleet.pick({ tenant: asked.tenant, lineage: lineage.lineage, model: name })
  const model = await engine.models.find(name, options.apiKey)
  if (model === undefined) throw notServed(name)
  await quotas.ensure(lineage.salt, policyOf(asked.tenant).kvQuotaGb)
  return new ReductionCalls({ admission, ledger, rates, engine, model, lineage }, asked, options)
}

/** Throws `INVALID_FIELD` if the engine says that it does not serve the model. An engine that does not answer is not asked again. */
export async function requireServed(
  { fleet }: Pick<ReduceParts, 'fleet'>,
  name: string,
  apiKey: string | undefined,
): Promise<void> {
  const engine = await fleet.pick({ model: name })
  const isServed = await engine.models.find(name, apiKey).then(
    (model) => model !== undefined,
    () => true,
  )
  if (!isServed) throw notServed(name)
}

function notServed(name: string): CwmError {
  const message = `the engine does not serve the model ${name}; name another one in reduce_model`
  return new CwmError('INVALID_FIELD', message, { param: 'reduce_model' })
}

/** One reduction in progress. */
class Reducing {
  readonly #asked: ManyQuestion
  readonly #model: string
  readonly #calls: ReductionCalls
  readonly #options: ManyOptions
  readonly notes: string[] = []
  rounds = 0

  constructor(asked: ManyQuestion, model: string, calls: ReductionCalls, options: ManyOptions) {
    this.#asked = asked
    this.#model = model
    this.#calls = calls
    this.#options = options
  }

  /** The winners of each round's groups compete in the next round, until one is left. */
  async best(answers: readonly Answer[]): Promise<Reduction> {
    let rest = answers
    let last: ReductionReply | undefined
    while (rest.length > 1) {
      this.rounds++
      const fits = (group: readonly Answer[]) => this.#calls.fits(choicePrompt(this.#model, this.#asked, group))
      const winners: Answer[] = []
      for (const group of await groupsThatFit(rest, fits)) {
        const { winner, reply } = await this.#choose(group)
        if (winner !== undefined) winners.push(winner)
        last = reply ?? last
      }
      rest = winners
    }
    const { answer, window } = rest[0] ?? { answer: null, window: null }
    return { answer, window, usage: this.#calls.usage, finishReason: last?.finishReason ?? null }
  }

  /** The model replies with a number. `structured_outputs` has the engine enforce that. */
  async #choose(
    group: readonly Answer[],
  ): Promise<{ readonly winner: Answer | undefined; readonly reply?: ReductionReply }> {
    if (group.length === 1) return { winner: group[0] }
    const prompt = choicePrompt(this.#model, this.#asked, group)
    const choice = group.map((_, at) => String(at + 1))
    const call = { prompt, temperature: 0 }
    const constrained = { ...call, fields: { structured_outputs: { choice } } }
    const reply = await this.#calls.send(constrained).catch((thrown: unknown) => {
      // Without structured outputs, most models still follow the prompt.
      if (!isFinalRefusal(thrown)) throw thrown
      this.#note('the engine rejects structured_outputs, so the choice was not constrained')
      return this.#calls.send(call)
    })
    const number = Number(/\d+/.exec(reply.text)?.[0])
    const winner = group[number - 1]
    if (winner === undefined) this.#note('the model chose no answer, so the first one was taken')
    return { winner: winner ?? group[0], reply }
  }

  /** Each round combines the answers of groups. Only the last one is streamed, and gets the conversation. */
  async synthesis(answers: readonly Answer[]): Promise<Reduction> {
    const conversation = await this.#conversation()
    const promptOf = (group: readonly Answer[], turns = conversation) =>
      synthesisPrompt(this.#model, this.#asked, group, turns)
    const { temperature } = this.#asked
    let rest = answers
    while (!(await this.#calls.fits(promptOf(rest)))) {
      this.rounds++
      const groups = await groupsThatFit(rest, (group) => this.#calls.fits(promptOf(group)))
      const written: Answer[] = []
      for (const [at, group] of groups.entries()) {
        const [only] = group
        if (group.length === 1 && only !== undefined) written.push(only)
        else {
          const { text } = await this.#calls.send({ prompt: promptOf(group, []), temperature })
          written.push({ window: `part ${this.rounds}.${at + 1}`, answer: text })
        }
      }
      rest = written
    }
    this.rounds++
    const onText = (text: string) => this.#options.onEvent({ type: 'text', text })
    const { text, finishReason } = await this.#calls.send({ prompt: promptOf(rest), temperature, onText })
    return { answer: text, window: null, usage: this.#calls.usage, finishReason }
  }

  /** The conversation, without its oldest turns if it takes more than half of the context. */
  async #conversation(): Promise<readonly ConversationTurn[]> {
    const systems = this.#asked.conversation.filter(({ role }) => role === 'system')
    let turns = this.#asked.conversation.filter(({ role }) => role !== 'system')
    while (turns.length > 0) {
      const whole = [...systems, ...turns]
      if (await this.#calls.fits(synthesisPrompt(this.#model, this.#asked, [], whole), 0.5)) return whole
      this.#note('the oldest turns of the conversation exceed the context limit, so they were left out')
      turns = turns.slice(Math.ceil(turns.length / 2))
    }
    const fits =
      systems.length === 0 || (await this.#calls.fits(synthesisPrompt(this.#model, this.#asked, [], systems)))
    if (fits) return systems
    const message = `system text and question exceed the context limit of ${this.#model}, which writes the reply; shorten them`
    throw new CwmError('CONTEXT_LENGTH_EXCEEDED', message, { param: 'messages' })
  }

  #note(text: string): void {
    if (!this.notes.includes(text)) this.notes.push(text)
  }
}
