// SSE events in their wire form.

/** `data:` alone, as OpenAI's chat and completions streams have it. */
export const dataEvent = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`

/** With an `event:` line that repeats the payload's type, as Anthropic's and the responses streams have it. */
export const namedEvent = <Payload extends { readonly type: string }>(value: Payload): string =>
  `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`

export const DONE = 'data: [DONE]\n\n'
