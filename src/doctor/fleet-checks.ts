// Checks of several engines against each other: what must be equal, so that a session may go from one to another.

import type { JsonObject } from '../base/json.ts'
import type { Prompt } from '../base/records.ts'
import type { EngineModel } from '../engines/engine.ts'
import type { Check } from './check.ts'
import type { Facts } from './facts.ts'
import { type Finding, failed, ok, skipped, warning } from './finding.ts'
import { askAll, isFleet, type OfEngine, tellEach, unlike } from './of-engines.ts'

/** Models named in a finding; further ones are only counted. */
const MAX_NAMED = 10

export const fleetChecks: readonly Check[] = [
  {
    id: 'fleet-versions',
    title: 'Engines run one version',
    proves: 'whatever is true of one engine is true of the others',
    applies: isFleet,
    run: async (facts) => {
      const { told, silent } = await askAll(facts, async (one) => (await one.version()).version)
      if (told.length < 2) return skipped(`fewer than two engines report a version${silent}`)
      if (unlike(told)) {
        return warning(
          `${tellEach(told)}${silent}`,
          'normal during a rolling upgrade: the other lines show whether KV fits; afterwards run one version everywhere',
        )
      }
      return ok(`${told[0]?.value} on ${told.length} engines${silent}`)
    },
  },
  {
    id: 'fleet-models',
    title: 'Engines serve the same models',
    proves: 'LMCache names the KV of a model alike on every engine, and any engine can take any session',
    applies: isFleet,
    run: async (facts) => {
      const { told, silent } = await askAll(facts, (one) => one.models())
      return told.length < 2
        ? skipped(`fewer than two engines list their models${silent}`)
        : compareModels(told, silent)
    },
  },
  {
    id: 'fleet-templates',
    title: 'Engines render prompts alike',
    proves: 'a conversation with system prompt and tools has the same token ids on every engine, so its KV fits',
    applies: isFleet,
    run: async (facts) => {
      const { told, silent } = await askAll(facts, probeIds)
      if (told.length < 2) return skipped(`fewer than two engines return token ids (POST /tokenize)${silent}`)
      const [first] = told
      const others = told.filter(({ value }) => first !== undefined && !isEqual(value, first.value))
      const sizes = `${first?.value.length} token ids`
      if (first === undefined || others.length === 0) return ok(`${sizes}, equal on ${told.length} engines${silent}`)
      const seen = others.map(
        ({ name, value }) =>
          `${name} differs from ${first.name} from token ${firstDifference(value, first.value) + 1} on`,
      )
      return failed(
        `${sizes} at ${first.name}; ${seen.join('; ')}${silent}: a session that moves is cold`,
        'serve the same model files with the same --chat-template, --tokenizer and --default-chat-template-kwargs on every engine',
      )
    },
  },
]

function compareModels(told: readonly OfEngine<readonly EngineModel[]>[], silent: string): Finding {
  const names = [...new Set(told.flatMap(({ value }) => value.map(({ id }) => id)))]
  const shown = names.slice(0, MAX_NAMED)
  const more = names.length > shown.length ? `; ${names.length - shown.length} more models not shown` : ''
  const withModel = (id: string) =>
    told.flatMap(({ name, value }) => {
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
    if (unlike(roots)) paths.push(`${id} is ${tellEach(roots)}`)
    if (unlike(sizes)) limits.push(`max_model_len of ${id}: ${tellEach(sizes)}`)
    if (here.length < told.length) missing.push(`${id} only at ${here.map(({ name }) => name).join(', ')}`)
  }
  const seen = `${[...paths, ...limits, ...missing].join('; ')}${more}${silent}`
  if (paths.length > 0) {
    return failed(
      `${seen}: their keys in LMCache differ, so no engine loads what another has stored`,
      'start vllm serve with the same text as the path of the model (root in /v1/models) on every engine',
    )
  }
  if (limits.length > 0 || missing.length > 0) {
    return warning(
      seen,
      'cwm uses the smallest limit, and sends a model only to engines that list it: start all with the same --max-model-len, --served-model-name and adapters',
    )
  }
  return ok(`${shown.join(', ')}${more}: same path and limit on ${told.length} engines${silent}`)
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

/** What templates treat differently: a system prompt, tools, a call and its result. No text of a user. */
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
