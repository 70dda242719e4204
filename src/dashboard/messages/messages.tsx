// Messages for people to read. Everything in them is text: nothing is rendered, loaded, or run.

import type { Child } from 'hono/jsx'
import type { MessagesJson, ReadableMessageJson, ReadablePartJson } from '../../wire/messages.ts'
import { FilterForm, TextFilter } from '../filter-form.tsx'
import { formatBytes, formatNumber, pluralize } from '../format.ts'
import { PageLink } from '../list.tsx'

/** What of the messages is shown. */
export interface Reading {
  readonly path: string
  readonly search: string
  /** Of the first message. */
  readonly offset: number
  /** A single message in full. */
  readonly isWhole: boolean
}

export function messagesUrl({ path, search, offset, isWhole }: Reading): string {
  const query = new URLSearchParams({
    ...(search === '' ? {} : { search }),
    ...(offset === 0 ? {} : { offset: String(offset) }),
    ...(isWhole ? { whole: 'true' } : {}),
  })
  return `${path}${query.size === 0 ? '' : `?${query}`}`
}

export function SearchForm({ reading: { path, search } }: { readonly reading: Reading }) {
  return (
    <FilterForm name="messages" label="Messages" path={path}>
      <TextFilter name="search" label="Search" value={search} placeholder="text in a message" />
    </FilterForm>
  )
}

/** No region: messages do not change, so nothing is read again. */
export function Messages({ messages, reading }: { readonly messages: MessagesJson; readonly reading: Reading }) {
  const { data, total, offset, next_offset: next } = messages
  const at = (other: Partial<Reading>) => messagesUrl({ ...reading, isWhole: false, ...other })
  const noun = reading.search === '' ? 'message' : 'matching message'
  return (
    <div id="messages">
      <p class="range quiet" role="status">
        {data.length === 0 ? `No ${noun}s.` : `${rangeOf(offset, data.length)} of ${pluralize(total, noun)}`}
      </p>
      {data.map((message, n) => (
        <Message message={message} search={reading.search} wholeUrl={at({ offset: offset + n, isWhole: true })} />
      ))}
      <nav class="pages" aria-label="Pages of messages">
        {offset === 0 ? null : (
          <PageLink name="messages" id="messages-previous" url={at({ offset: Math.max(0, offset - 20) })}>
            Previous
          </PageLink>
        )}
        {next === null ? null : (
          <PageLink name="messages" id="messages-next" url={at({ offset: next })}>
            Next
          </PageLink>
        )}
      </nav>
    </div>
  )
}

function rangeOf(offset: number, length: number): string {
  const [first, last] = [offset + 1, offset + length]
  return last === first ? formatNumber(first) : `${formatNumber(first)}–${formatNumber(last)}`
}

interface MessageProps {
  readonly message: ReadableMessageJson
  readonly search: string
  readonly wholeUrl: string
}

function Message({ message: { index, role, chars, is_cut, parts }, search, wholeUrl }: MessageProps) {
  return (
    <article class="message">
      <h3>
        {role} <small class="quiet">{index === null ? 'system prompt' : `message ${formatNumber(index + 1)}`}</small>
      </h3>
      {parts.map((part) => (
        <Part part={part} search={search} />
      ))}
      {is_cut ? (
        <p>
          <a href={wholeUrl}>Show all {formatNumber(chars)} characters</a>
        </p>
      ) : null}
    </article>
  )
}

const titles = { reasoning: 'Reasoning', tool_call: 'Tool call', tool_result: 'Tool result', other: 'Other' } as const

function Part({ part, search }: { readonly part: ReadablePartJson; readonly search: string }) {
  const { kind, text, name, call_id, bytes, from } = part
  if (kind === 'media') return <Media part={part} />
  const words = (
    <pre tabindex={0}>
      {from === undefined ? '' : '…'}
      <Marked text={text} search={search} />
    </pre>
  )
  if (kind === 'text') return words
  const about = [name, call_id, bytes === undefined ? undefined : formatBytes(bytes)].filter((one) => one !== undefined)
  return (
    <details open={kind !== 'reasoning' || search !== ''}>
      <summary>
        {titles[kind]} {about.length === 0 ? '' : <span class="quiet">{about.join(' · ')}</span>}
      </summary>
      {words}
    </details>
  )
}

/** A placeholder: media are not shown, and addresses are not loaded. */
function Media({ part: { name, bytes, text } }: { readonly part: ReadablePartJson }) {
  return (
    <p class="media quiet">
      {name ?? 'media'}
      {bytes === undefined ? '' : `, ${formatBytes(bytes)}`}
      {text === '' ? '' : `, ${text}`} (not shown)
    </p>
  )
}

/** The text with each match marked. */
function Marked({ text, search }: { readonly text: string; readonly search: string }) {
  if (search === '') return <>{text}</>
  const [lower, needle] = [text.toLowerCase(), search.toLowerCase()]
  const pieces: Child[] = []
  let at = 0
  // Some letters change their length in lower case; then positions would differ.
  for (
    let hit = lower.length === text.length ? lower.indexOf(needle) : -1;
    hit !== -1;
    hit = lower.indexOf(needle, at)
  ) {
    pieces.push(text.slice(at, hit), <mark>{text.slice(hit, hit + needle.length)}</mark>)
    at = hit + needle.length
  }
  return (
    <>
      {pieces}
      {text.slice(at)}
    </>
  )
}
