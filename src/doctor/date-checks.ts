// A prompt that holds today's date changes at midnight, and with it the KV of every window: docs/engine-behavior.md#dates-in-prompts.

import { isObject, parseJson } from '../base/json.ts'
import type { Check } from './check.ts'
import type { Facts } from './facts.ts'
import { type Finding, ok, skipped, warning } from './finding.ts'

const HOUR_MS = 3_600_000
/** The engine's own time zone is not known: somewhere it is already tomorrow, or still yesterday. */
const ZONES_MS = [-12 * HOUR_MS, 0, 14 * HOUR_MS]
const PIN_HARMONY =
  'start vLLM with VLLM_SYSTEM_START_DATE=YYYY-MM-DD in its environment, the same day on every engine. If it was set to today, this check passes from tomorrow on'
const PIN_TEMPLATE =
  'fix the date in the template: --default-chat-template-kwargs \'{"date_string": "26 Jul 2024"}\' for Llama 3, or a --chat-template without a date; the same on every engine'

export const dateChecks: readonly Check[] = [
  {
    id: 'prompt-date',
    scope: 'each',
    title: 'Prompts hold no date of today',
    proves: 'windows are still warm after midnight: the same messages give the same token ids tomorrow',
    run: async (facts) => {
      const { id, engineName } = await facts.model()
      const isHarmony = [id, engineName].some((name) => /gpt[-_]?oss/i.test(name))
      const rendered = await renderedText(facts, id)
      const text = rendered ?? (isHarmony ? undefined : await tokenizedText(facts, id))
      if (text !== undefined) return judge(text, facts.parts.now(), isHarmony)
      if (!isHarmony) return skipped('the engine does not show its prompts (/tokenize and /detokenize)')
      return warning(
        'gpt-oss puts the current date into its prompt, and this engine does not show whether it is fixed: /tokenize renders another template. Without VLLM_SYSTEM_START_DATE windows are cold after midnight',
        `${PIN_HARMONY}. With --enable-scale-out the doctor sees the prompt`,
      )
    },
  },
]

function judge(text: string, now: number, isHarmony: boolean): Finding {
  const found = ZONES_MS.flatMap((zone) => formsOf(new Date(now + zone))).find((form) => text.includes(form))
  if (found === undefined) return ok("the prompt of a first message does not contain today's date in any usual form")
  return warning(
    `the prompt of a first message contains the date “${found}”: after midnight its token ids differ, so every window and session is cold`,
    isHarmony ? PIN_HARMONY : PIN_TEMPLATE,
  )
}

/** The forms that templates write: `%Y-%m-%d`, `%d %b %Y`, `%d %B %Y`, `%B %d, %Y`, `%b %d, %Y`, `%m/%d/%Y`, `%d/%m/%Y`. */
function formsOf(date: Date): readonly string[] {
  const [year = '', month = '', day = ''] = date.toISOString().slice(0, 10).split('-')
  const name = (style: 'long' | 'short') => date.toLocaleString('en-US', { month: style, timeZone: 'UTC' })
  const [long, short] = [name('long'), name('short')]
  const days = [day, String(Number(day))]
  return [
    `${year}-${month}-${day}`,
    `${month}/${day}/${year}`,
    `${day}/${month}/${year}`,
    ...days.flatMap((one) => [long, short].flatMap((named) => [`${one} ${named} ${year}`, `${named} ${one}, ${year}`])),
  ]
}

/** The prompt of a chat as vLLM would compute it; undefined if its render endpoints are off. */
async function renderedText(facts: Facts, model: string): Promise<string | undefined> {
  const answer = await facts.ask('POST', '/v1/chat/completions/render', chatOf(model))
  return answer.status === 200 ? await textOf(facts, model, idsIn(answer.text, 'token_ids')) : undefined
}

async function tokenizedText(facts: Facts, model: string): Promise<string | undefined> {
  const answer = await facts.ask('POST', '/tokenize', chatOf(model))
  return answer.status === 200 ? await textOf(facts, model, idsIn(answer.text, 'tokens')) : undefined
}

function chatOf(model: string): object {
  return { model, messages: [{ role: 'user', content: 'Hello' }] }
}

function idsIn(text: string, field: string): unknown {
  const body = parseJson(text)
  return isObject(body) ? body[field] : undefined
}

async function textOf(facts: Facts, model: string, tokens: unknown): Promise<string | undefined> {
  if (!Array.isArray(tokens)) return undefined
  const answer = await facts.ask('POST', '/detokenize', { model, tokens })
  const body = answer.status === 200 ? parseJson(answer.text) : undefined
  return isObject(body) && typeof body.prompt === 'string' ? body.prompt : undefined
}
