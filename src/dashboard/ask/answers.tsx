// What a question brought: the answer of each window, one from all, and the receipt.

import type {
  AnsweredWindowJson,
  FailedWindowJson,
  ManyAskEvents,
  ManyReceiptJson,
  ReductionJson,
} from '../../wire/many-asks.ts'
import { FieldList, Note, Remarks } from '../components.tsx'
import { formatDuration, formatNumber, pluralize } from '../format.ts'
import { windowPath } from '../regions.tsx'

type AskError = ManyAskEvents['reduction_error']

/** Tokens, or a word for a number that the engine does not report. */
const tokens = (value: number | null) => (value === null ? 'not reported by the engine' : pluralize(value, 'token'))

export function WindowAnswer({
  answered: { window, answer, passage, receipt },
}: {
  readonly answered: AnsweredWindowJson
}) {
  const { restored_tokens, computed_tokens, first_token_ms, finish_reason, tiers_before, ms } = receipt
  return (
    <article class="answer">
      <h3>
        <a href={windowPath(window)}>{window}</a>
      </h3>
      {answer === null ? <p class="quiet">This window does not contain the answer.</p> : <p class="words">{answer}</p>}
      {passage === null || answer === null ? null : (
        <figure class="passage">
          <blockquote>{passage.text}</blockquote>
          <figcaption>
            <a href={`${windowPath(window)}/messages?offset=${passage.message}`}>
              Message {formatNumber(passage.message + 1)}
            </a>
          </figcaption>
        </figure>
      )}
      <details>
        <summary>Receipt</summary>
        <FieldList
          fields={[
            ['Restored', tokens(restored_tokens)],
            ['Computed', tokens(computed_tokens)],
            [
              'Chunks before question',
              `${tiers_before.total} in total; L1 ${tiers_before.l1 ?? '?'}, L2 ${tiers_before.l2 ?? '?'}`,
            ],
            ['First token', first_token_ms === null ? undefined : formatDuration(first_token_ms)],
            ['Took', ms.total === undefined ? undefined : formatDuration(ms.total)],
            ['Finish reason', finish_reason ?? undefined],
          ]}
        />
        <Remarks receipt={receipt} />
      </details>
    </article>
  )
}

export function WindowFailure({ failed: { window, error } }: { readonly failed: FailedWindowJson }) {
  return (
    <article class="answer">
      <h3>
        <a href={windowPath(window)}>{window}</a>
      </h3>
      <Note kind="bad">{error.message}</Note>
    </article>
  )
}

export function CombinedAnswer({ reduction: { answer, window } }: { readonly reduction: ReductionJson }) {
  return (
    <article class="answer whole">
      <h3>
        Combined answer
        {window === null ? null : (
          <>
            {' '}
            from <a href={windowPath(window)}>{window}</a>
          </>
        )}
      </h3>
      {answer === null ? <p class="quiet">No window contains the answer.</p> : <p class="words">{answer}</p>}
    </article>
  )
}

export function AskFailure({ error }: AskError) {
  return <Note kind="bad">{error.message}</Note>
}

export function QuestionReceipt({ receipt }: { readonly receipt: ManyReceiptJson }) {
  const { windows, answered, not_found, failed, reduction } = receipt
  return (
    <section class="answer" aria-label="Receipt of the question">
      <h3>Receipt</h3>
      <FieldList
        fields={[
          ['Windows', formatNumber(windows)],
          ['Answered', formatNumber(answered)],
          ['Answer not found', formatNumber(not_found)],
          ['Failed', failed === 0 ? undefined : formatNumber(failed)],
          ['Restored', tokens(receipt.restored_tokens)],
          ['Computed', tokens(receipt.computed_tokens)],
          ['Answer tokens', tokens(receipt.completion_tokens)],
          [
            'Reduction calls',
            reduction.calls === 0 ? undefined : `${pluralize(reduction.calls, 'call')}, ${reduction.model ?? ''}`,
          ],
          ['In parallel', formatNumber(receipt.parallel)],
          ['Took', formatDuration(receipt.ms)],
        ]}
      />
      <Remarks receipt={receipt} />
    </section>
  )
}
