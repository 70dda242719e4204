// Compares several engines: what must be equal, so that a session can move from one to another.

import type { JsonObject } from '../base/json.ts'
import type { Prompt } from '../base/records.ts'
import type { EngineModel } from '../engines/engine.ts'
import type { Check } from './check.ts'
import type { Facts } from './facts.ts'
import { type Finding, failed, ok, skipped, warning } from './finding.ts'
import { askAll, differ, isFleet, listAnswers, type OfEngine } from './of-engines.ts'

/** Limit of models named in a finding; further ones are only counted. */
const MAX_NAMED = 10

export const fleetChecks: readonly Check[] = [
  {
    id: 'fleet-versions',
    title: 'Engines run the same version',
    proves: 'what the doctor proves for one engine holds for the others',
    applies: isFleet,
    run: async (facts) => {
      const { answers, unanswered } = await askAll(facts, async (one) => (await one.version()).version)
      if (answers.length < 2) return skipped(`fewer than two engines report a version${unanswered}`)
      if (differ(answers)) {
        return warning(
          `${listAnswers(answers)}${unanswered}`,
          'normal during a rolling upgrade, and the other lines show whether KV fits; afterwards, run one version on every engine',
        )
      }
      return ok(`${answers[0]?.value} on ${answers.length} engines${unanswered}`)
    },
  },
  {
    id: 'fleet-models',
    title: 'Engines serve the same models',
    proves: 'LMCache uses the same keys for a model on every engine, and any engine can serve any session',
    applies: isFleet,
    run: async (facts) => {
      const { answers, unanswered } = await askAll(facts, (one) => one.models())
      return answers.length < 2
        ? skipped(`fewer than two engines list their models${unanswered}`)
        : compareModels(answers, unanswered)
    },
  },
  {
    id: 'fleet-templates',
    title: 'Engines render prompts alike',
    proves: 'a conversation with system prompt and tools has the same token ids on every engine, so its KV fits',
    applies: isFleet,
    run: async (facts) => {
      const { answers, unanswered } = await askAll(facts, probeIds)
      if (answers.length < 2) return skipped(`fewer than two engines return token ids (POST /tokenize)${unanswered}`)
      const [first] = answers
      const others = answers.filter(({ value }) => first !== undefined && !isEqual(value, first.value))
      const sizes = `${first?.value.length} token ids`
      if (first === undefined || others.length === 0)
        return ok(`${sizes}, equal on ${answers.length} engines${unanswered}`)
      const seen = others.map(
        ({ name, value }) =>
          `${name} differs from ${first.name} from token ${firstDifference(value, first.value) + 1} on`,
      )
      return failed(
        `${sizes} at ${first.name}; ${seen.join('; ')}${unanswered}: a session that moves is cold`,
        'serve the same model files with the same --chat-template, --tokenizer and --default-chat-template-kwargs on every engine',
      )
    },
  },
]

function compareModels(answers: readonly OfEngine<readonly EngineModel[]>[], unanswered: string): Finding {
  const names = [...new Set(answers.flatMap(({ value }) => value.map(({ id }) => id)))]
  const shown = names.slice(0, MAX_NAMED)
  const more = names.length > shown.length ? `; ${names.length - shown.length} more models not shown` : ''
  const withModel = (id: string) =>
    answers.flatMap(({ name, value }) => {
      const model = value.find((one) => one.id === id)
      return model === undefined ? [] : [{ name, model }]
    })
  const paths: string[] = []
  const missing: string[] = []
  const limits: string[] = []
  for (const id of shown) {
    const here = withModel(id)
    const roots = here.map(({ name, model }) => ({ name, value: model.engineName }))
    const sizes = here.map(({ name, model }) => ({ name, value: String(model.limit ?? 'unknown') }))
    if (differ(roots)) paths.push(`${id} is ${listAnswers(roots)}`)
    if (differ(sizes)) limits.push(`max_model_len of ${id}: ${listAnswers(sizes)}`)
    if (here.length < answers.length) missing.push(`${id} only at ${here.map(({ name }) => name).join(', ')}`)
  }
  const seen = `${[...paths, ...limits, ...missing].join('; ')}${more}${unanswered}`
  if (paths.length > 0) {
    return failed(
      `${seen}: their keys in LMCache differ, so no engine can load what another stored`,
      'start vllm serve with the same path of the model (root in /v1/models) on every engine, character for character',
    )
  }
  if (limits.length > 0 || missing.length > 0) {
    return warning(
      seen,
      'cwm uses the smallest limit, and sends a model only to engines that list it: start every engine with the same --max-model-len, --served-model-name and adapters',
    )
  }
  return ok(`${shown.join(', ')}${more}: same path and limit on ${answers.length} engines${unanswered}`)
}

/** A tool as clients offer it. */
const tool: JsonObject = {
  type: 'function',
  function: {
    name: 'look_up',
    description: 'Looks up a place.',
    parameters: { type: 'object', properties: { place: { type: 'string' } }, required: ['place'] },
  },
}

/** Covers what templates treat differently: a system prompt, tools, a call, and its result. Contains no user's text. */
const conversation: readonly JsonObject[] = [
  { role: 'system', content: 'You answer briefly.' },
  { role: 'user', content: 'How deep is the harbour?' },
  {
    role: 'assistant',
    content: null,
    tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'look_up', arguments: '{"place":"harbour"}' } }],
  },
  { role: 'tool', tool_call_id: 'call_1', content: '{"depth_m":12}' },
  { role: 'assistant', content: 'Twelve metres — “about”.' },
  { role: 'user', content: 'And the river?' },
]

const plain = conversation.filter(({ role, tool_calls: calls }) => role !== 'tool' && calls === undefined)

/** The ids of the conversation; without its tools if the template rejects them. Undefined if the engine returns none. */
async function probeIds(facts: Facts): Promise<Uint32Array | undefined> {
  const { id: model } = await facts.model()
  const { engine, apiKey } = facts.engine
  const options = { apiKey, signal: facts.signal }
  const whole: Prompt = { dialect: 'chat', model, messages: conversation, shaping: { tools: [tool] } }
  return await engine
    .tokenIds(whole, options)
    .catch(() => engine.tokenIds({ ...whole, messages: plain, shaping: {} }, options))
}

function isEqual(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((id, at) => id === b[at])
}

function firstDifference(a: Uint32Array, b: Uint32Array): number {
  const at = a.findIndex((id, index) => id !== b[index])
  return at === -1 ? Math.min(a.length, b.length) : at
}
