// Encodes SSE events.

/** Only a `data:` line, as in OpenAI's chat and completions streams. */
export const dataEvent = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`

/** With an `event:` line that repeats the payload's type, as in Anthropic's and the responses streams. */
export const namedEvent = <Payload extends { readonly type: string }>(value: Payload): string =>
  `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`

export const DONE = 'data: [DONE]\n\n'
