// The page of questions: the choice of windows, the question, and where the answers appear (assets/ask.js).

import type { Child } from 'hono/jsx'
import { Field } from '../components.tsx'
import { formatNumber } from '../format.ts'
import { DetailLink, windowPath } from '../regions.tsx'
import type { Choice, Way } from './choice.ts'

/** What the chosen windows are, as far as they are known before the question. */
export interface Chosen {
  readonly names: readonly string[]
  readonly total: number
  readonly isMinimum: boolean
  /** Nothing is chosen yet. */
  readonly isEmpty: boolean
}

interface AskPageProps {
  readonly choice: Choice
  readonly chosen: Chosen
  readonly libraries: readonly string[]
  readonly question: string
}

export function AskPage({ choice, chosen, libraries, question }: AskPageProps) {
  return (
    <>
      <section class="card" aria-label="What to ask">
        <ChoiceForm choice={choice} libraries={libraries} />
        <ChosenWindows chosen={chosen} />
        <QuestionForm question={question} />
      </section>
      <section class="card" aria-labelledby="ask-answers-title">
        <h2 id="ask-answers-title">Answers</h2>
        <p id="ask-status" role="status" class="quiet">
          No question yet.
        </p>
        <div id="ask-error" />
        <div id="ask-whole" />
        <div id="ask-answers" />
        <div id="ask-receipt" />
      </section>
    </>
  )
}

function ChoiceForm({ choice, libraries }: Pick<AskPageProps, 'choice' | 'libraries'>) {
  return (
    <form
      id="ask-choice"
      hx-get="/cwm/ui/ask"
      hx-target="#ask-windows"
      hx-swap="outerHTML"
      hx-trigger="change, input changed delay:300ms"
      hx-sync="this:replace"
      data-history="replace"
    >
      <fieldset>
        <legend>Windows</legend>
        <WayOption way="filter" chosen={choice.by} label="By tag or part of a name">
          <TextInput name="tag" label="Tag" value={choice.tag} />
          <TextInput name="search" label="Part of a name" value={choice.search} />
        </WayOption>
        <WayOption way="names" chosen={choice.by} label="By whole names">
          <TextInput name="names" label="Names, separated by commas" value={choice.names} />
        </WayOption>
        {libraries.length === 0 ? null : (
          <WayOption way="library" chosen={choice.by} label="A library">
            <label class="ask-field">
              <span>Library</span>
              <select name="library">
                <option value="">choose…</option>
                {libraries.map((name) => (
                  <option value={name} selected={name === choice.library}>
                    {name}
                  </option>
                ))}
              </select>
            </label>
          </WayOption>
        )}
      </fieldset>
    </form>
  )
}

interface WayProps {
  readonly way: Way
  readonly chosen: Way
  readonly label: string
  readonly children?: Child
}

/** Writing into a field chooses its way. */
function WayOption({ way, chosen, label, children }: WayProps) {
  return (
    <div class="way">
      <label class="way-choice">
        <input type="radio" name="by" value={way} checked={way === chosen} /> {label}
      </label>
      {children}
    </div>
  )
}

function TextInput({ name, label, value }: { readonly name: string; readonly label: string; readonly value: string }) {
  return (
    <label class="ask-field">
      <span>{label}</span>
      <input name={name} value={value} autocomplete="off" autocapitalize="none" spellcheck={false} />
    </label>
  )
}

export function ChosenWindows({ chosen: { names, total, isMinimum, isEmpty } }: { readonly chosen: Chosen }) {
  if (isEmpty) {
    return (
      <p id="ask-windows" class="quiet" role="status">
        Choose windows.
      </p>
    )
  }
  return (
    <div id="ask-windows" role="status">
      <p>
        {formatNumber(total)}
        {isMinimum ? '+' : ''} {total === 1 ? 'window' : 'windows'}
        {total === 0 ? '' : ': '}
        {names.map((name, n) => (
          <>
            {n === 0 ? '' : ', '}
            <DetailLink path={windowPath(name)} id={`asked-${name}`}>
              {name}
            </DetailLink>
          </>
        ))}
        {total > names.length ? ', …' : ''}
      </p>
    </div>
  )
}

function QuestionForm({ question }: { readonly question: string }) {
  return (
    <form id="ask" method="post" action="/cwm/ui/ask/run">
      <p class="field">
        <label for="field-question">Question</label>
        <textarea id="field-question" name="question" rows={3} required aria-describedby="field-question-hint">
          {question}
        </textarea>
        <small id="field-question-hint" class="quiet">
          Ctrl+Enter asks. The windows stay as they are.
        </small>
      </p>
      <div class="ask-options">
        <label class="ask-field">
          <span>One answer from all</span>
          <select name="reduce">
            <option value="none">no</option>
            <option value="synthesize">written from all answers</option>
            <option value="best">the best answer</option>
          </select>
        </label>
        <Field name="select" label="Only the best windows" type="number" hint="How many, by their text. Empty: all." />
        <Field name="max_tokens" label="Tokens of an answer" type="number" hint="At most. Empty: the default." />
      </div>
      <p class="ask-buttons">
        <button type="submit" class="primary" id="ask-start">
          Ask
        </button>
        <button type="button" id="ask-stop" disabled>
          Stop
        </button>
      </p>
    </form>
  )
}
