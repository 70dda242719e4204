// Reads the prompt usage from the engine's response, in each of the three dialects that agents use, as JSON or as a stream.

/** How much of a turn's prompt was cached, in tokens. */
export interface Prefill {
  readonly prompt: number
  readonly cached: number
}

type Json = Record<string, unknown>

/** The figures of the last usage in the response; undefined if it has none, as in an error. */
export function readPrefill(answer: string): Prefill | undefined {
  const texts = answer.startsWith('{')
    ? [answer]
    : answer.split('\n').flatMap((line) => line.match(/^data: (\{.*)/)?.[1] ?? [])
  const usages = texts.map((text) => usageIn(JSON.parse(text) as Json)).filter((usage) => usage !== undefined)
  const last = usages.at(-1)
  return last === undefined ? undefined : prefillOf(last)
}

function usageIn(event: Json): Json | undefined {
  return objectIn(event, 'usage') ?? objectIn(objectIn(event, 'response') ?? {}, 'usage')
}

function prefillOf(usage: Json): Prefill {
  const chat = usage.prompt_tokens
  const details = objectIn(usage, 'prompt_tokens_details') ?? objectIn(usage, 'input_tokens_details')
  if (typeof chat === 'number' || details !== undefined) {
    return { prompt: count(chat ?? usage.input_tokens), cached: count(details?.cached_tokens) }
  }
  // Anthropic's input_tokens leaves out what was cached and what was newly cached.
  const cached = count(usage.cache_read_input_tokens)
  return { prompt: count(usage.input_tokens) + cached + count(usage.cache_creation_input_tokens), cached }
}

const count = (value: unknown): number => (typeof value === 'number' ? value : 0)

function objectIn(value: Json, field: string): Json | undefined {
  const found = value[field]
  return typeof found === 'object' && found !== null ? (found as Json) : undefined
}
