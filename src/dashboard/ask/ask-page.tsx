// The page of questions: the choice of windows, the question, and where the answers appear (assets/ask.js).

import type { Child } from 'hono/jsx'
import { Field } from '../components.tsx'
import { formatNumber } from '../format.ts'
import { DetailLink, windowPath } from '../regions.tsx'
import type { Choice, SelectionMode } from './choice.ts'

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
        <SelectionOption mode="filter" chosen={choice.by} label="By tag or part of a name">
          <TextInput name="tag" label="Tag" value={choice.tag} />
          <TextInput name="search" label="Part of a name" value={choice.search} />
        </SelectionOption>
        <SelectionOption mode="names" chosen={choice.by} label="By exact name">
          <TextInput name="names" label="Names, separated by commas" value={choice.names} />
        </SelectionOption>
        {libraries.length === 0 ? null : (
          <SelectionOption mode="library" chosen={choice.by} label="By library">
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
          </SelectionOption>
        )}
      </fieldset>
    </form>
  )
}

interface SelectionOptionProps {
  readonly mode: SelectionMode
  readonly chosen: SelectionMode
  readonly label: string
  readonly children?: Child
}

/** Typing into a field selects its mode. */
function SelectionOption({ mode, chosen, label, children }: SelectionOptionProps) {
  return (
    <div class="way">
      <label class="way-choice">
        <input type="radio" name="by" value={mode} checked={mode === chosen} /> {label}
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
          Ctrl+Enter asks. The windows do not change.
        </small>
      </p>
      <div class="ask-options">
        <label class="ask-field">
          <span>Combined answer</span>
          <select name="reduce">
            <option value="none">none</option>
            <option value="synthesize">written from all answers</option>
            <option value="best">best answer, verbatim</option>
          </select>
        </label>
        <Field name="select" label="Best-matching windows" type="number" hint="How many to ask. Leave empty for all." />
        <Field name="max_tokens" label="Maximum answer tokens" type="number" hint="Leave empty for the default." />
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
