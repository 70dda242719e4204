// REST's events of a question as lines of JSON with HTML, which the page inserts as they come (assets/ask.js).

import type { Child } from 'hono/jsx'
import type { ManyAskEvents } from '../../wire/many-asks.ts'
import { htmlOf } from '../static-pages.ts'
import { AskFailure, CombinedAnswer, QuestionReceipt, WindowAnswer, WindowFailure } from './answers.tsx'

type AskEvents = ManyAskEvents & { readonly error: ManyAskEvents['reduction_error'] }
type Name = keyof AskEvents

/** What the page does with each event: text is added to the one answer, HTML is inserted, `windows` is the number to wait for. */
export interface AnswerLine {
  readonly event: Name
  readonly html?: string
  readonly text?: string
  readonly windows?: number
}

const views: { readonly [N in Name]?: (data: AskEvents[N]) => Child } = {
  window: (data) => <WindowAnswer answered={data} />,
  window_error: (data) => <WindowFailure failed={data} />,
  reduction: (data) => <CombinedAnswer reduction={data} />,
  reduction_error: ({ error }) => <AskFailure error={error} />,
  receipt: (data) => <QuestionReceipt receipt={data} />,
  error: ({ error }) => <AskFailure error={error} />,
}

/** A line for each event, as soon as it has arrived. */
export function answerLines(): TransformStream<Uint8Array, Uint8Array> {
  const [decoder, encoder] = [new TextDecoder(), new TextEncoder()]
  let rest = ''
  return new TransformStream({
    async transform(chunk, controller) {
      const events = (rest + decoder.decode(chunk, { stream: true })).split('\n\n')
      rest = events.pop() ?? ''
      for (const event of events) {
        const line = await lineOf(event)
        // A blank line for a comment keeps the connection open.
        controller.enqueue(encoder.encode(line === undefined ? '\n' : `${JSON.stringify(line)}\n`))
      }
    },
  })
}

async function lineOf(event: string): Promise<AnswerLine | undefined> {
  const name = /^event: (\w+)$/m.exec(event)?.[1] as Name | undefined
  const json = /^data: (.*)$/m.exec(event)?.[1]
  if (name === undefined || json === undefined) return undefined
  const data = JSON.parse(json) as AskEvents[Name]
  if (name === 'started') return { event: name, windows: (data as AskEvents['started']).windows }
  if (name === 'text') return { event: name, text: (data as AskEvents['text']).text }
  const view = views[name] as ((data: AskEvents[Name]) => Child) | undefined
  return view === undefined ? undefined : { event: name, html: await htmlOf((<>{view(data)}</>) as never) }
}
