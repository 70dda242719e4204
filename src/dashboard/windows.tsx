// Windows: the table with its filter, one of them with its family and what can be done with it.

import { Facts, Field, Note, Submit, Warnings } from './parts.tsx'
import type { FreezeReceipt, Page, Window } from './shapes.ts'
import { age, durabilities, number, percent, plural } from './words.ts'

export const windowPath = (name: string) => `/cwm/ui/windows/${encodeURIComponent(name)}`

/** What is looked for, as the form has it. */
export interface WindowFilter {
  readonly search: string
  readonly tag: string
  readonly state: string
  readonly sort: string
  readonly order: string
}

const sorts = { created: 'time made', name: 'name', thawed: 'last thaw', tokens: 'tokens' } as const
const orders = { desc: 'descending', asc: 'ascending' } as const
const states = { '': 'any state', frozen: 'frozen', freezing: 'freezing', failed: 'failed' } as const

export function FilterForm({ filter }: { readonly filter: WindowFilter }) {
  return (
    <search aria-label="Windows">
      <form
        id="filter"
        hx-get="/cwm/ui/windows"
        hx-target="#windows"
        hx-trigger="input changed delay:250ms, change, submit"
        hx-sync="this:replace"
      >
        <label>
          <span>Search</span>
          <input
            type="search"
            id="search"
            name="search"
            value={filter.search}
            placeholder="part of a name"
            autocomplete="off"
          />
        </label>
        <label>
          <span>Tag</span>
          <input type="search" id="tag" name="tag" value={filter.tag} autocomplete="off" autocapitalize="none" />
        </label>
        <Select name="state" label="State" options={states} chosen={filter.state} />
        <Select name="sort" label="Sort by" options={sorts} chosen={filter.sort} />
        <Select name="order" label="Order" options={orders} chosen={filter.order} />
      </form>
    </search>
  )
}

interface SelectParts {
  readonly name: string
  readonly label: string
  readonly options: Readonly<Record<string, string>>
  readonly chosen: string
}

function Select({ name, label, options, chosen }: SelectParts) {
  return (
    <label>
      <span>{label}</span>
      <select id={name} name={name}>
        {Object.entries(options).map(([value, text]) => (
          <option value={value} selected={value === chosen}>
            {text}
          </option>
        ))}
      </select>
    </label>
  )
}

export interface WindowsParts {
  readonly page: Page<Window>
  readonly cursor: string | undefined
  /** Whether anything was looked for. */
  readonly filtered: boolean
  readonly now: number
}

export function Windows({ page: { data, next_cursor }, cursor, filtered, now }: WindowsParts) {
  if (data.length === 0 && cursor === undefined) {
    return filtered ? (
      <div class="empty">
        <p>No window fits.</p>
      </div>
    ) : (
      <div class="empty">
        <p>Nothing is frozen yet.</p>
        <p>
          Open a session and freeze it, or send a turn with the header <code>x-cwm-freeze: NAME</code>.
        </p>
      </div>
    )
  }
  return (
    <>
      <input type="hidden" name="cursor" value={cursor ?? ''} />
      <table>
        <thead>
          <tr>
            <th scope="col">Window</th>
            <th scope="col">State</th>
            <th scope="col" class="number">
              Restorable
            </th>
            <th scope="col" class="wide">
              Stored in
            </th>
            <th scope="col" class="wide">
              Tags
            </th>
            <th scope="col" class="age wide">
              Made
            </th>
          </tr>
        </thead>
        <tbody>
          {data.map((window) => (
            <tr>
              <th scope="row">
                <button
                  type="button"
                  class="link"
                  id={`window-${window.name}`}
                  hx-get={windowPath(window.name)}
                  hx-target="#dialog-body"
                >
                  {window.name}
                </button>
                {window.parent === undefined ? null : <small class="quiet parent">of {window.parent}</small>}
              </th>
              <td>
                <State window={window} />
              </td>
              <td class="number">{restorable(window.receipt)}</td>
              <td class="wide">
                <TierDots receipt={window.receipt} />
              </td>
              <td class="wide">
                <Tags of={window.tags} />
              </td>
              <td class="age wide">
                {window.created_at === undefined ? (
                  ''
                ) : (
                  <time datetime={window.created_at}>{age(window.created_at, now)}</time>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <nav class="pages" aria-label="Pages of windows">
        {cursor === undefined ? null : (
          <button type="button" id="windows-first" hx-get="/cwm/ui/windows" hx-include="#filter" hx-target="#windows">
            First page
          </button>
        )}
        {next_cursor === undefined ? null : (
          <button
            type="button"
            id="windows-next"
            hx-get={`/cwm/ui/windows?cursor=${encodeURIComponent(next_cursor)}`}
            hx-include="#filter"
            hx-target="#windows"
          >
            Next page
          </button>
        )}
      </nav>
    </>
  )
}

function restorable(receipt: FreezeReceipt | undefined): string {
  if (receipt === undefined || receipt.tokens === 0) return '–'
  return `${number(receipt.restorable_tokens)} (${percent(receipt.restorable_tokens / receipt.tokens)})`
}

/** State and health in one word: a frozen window of which nothing is stored is no good one. */
function State({ window: { state, receipt } }: { readonly window: Window }) {
  const health =
    state === 'failed' ? 'bad' : state !== 'frozen' ? 'busy' : receipt?.durability === 'l2' ? 'good' : 'weak'
  const words =
    state === 'frozen' && receipt !== undefined && receipt.durability !== 'l2' ? `frozen, ${receipt.durability}` : state
  return <span class={`state ${health}`}>{words}</span>
}

function TierDots({ receipt }: { readonly receipt: FreezeReceipt | undefined }) {
  if (receipt === undefined) return null
  const { l1, l2, total } = receipt.tiers
  return (
    <span class="tiers">
      <Tier name="L1" seen={l1} total={total} />
      <Tier name="L2" seen={l2} total={total} />
      {receipt.pinned ? <span class="mark">pinned</span> : null}
    </span>
  )
}

function Tier({ name, seen, total }: { readonly name: string; readonly seen: number | null; readonly total: number }) {
  if (seen === null) return <span class="tier unknown">{name} ?</span>
  return (
    <span class={`tier ${seen === total && total > 0 ? 'whole' : seen > 0 ? 'part' : 'none'}`}>
      {name} {number(seen)}/{number(total)}
    </span>
  )
}

function Tags({ of = [] }: { readonly of?: readonly string[] | undefined }) {
  return (
    <>
      {of.map((tag) => (
        <span class="tag">{tag}</span>
      ))}
    </>
  )
}

export interface Family {
  /** Nearest first. */
  readonly ancestors: readonly string[]
  readonly children: readonly string[]
}

export function WindowDetail({
  window,
  family,
  now,
}: {
  readonly window: Window
  readonly family: Family
  readonly now: number
}) {
  const { name, receipt, state } = window
  return (
    <article>
      <h2 tabindex={-1}>{name}</h2>
      {window.reason === undefined ? null : <Note kind="bad">{window.reason}</Note>}
      {window.note === undefined ? null : <Note kind="quiet">{window.note}</Note>}
      <Facts
        of={[
          ['State', <State window={window} />],
          ['Tokens', receipt && number(receipt.tokens)],
          ['Restorable', receipt && restorable(receipt)],
          ['Stored', receipt && durabilities[receipt.durability]],
          ['Chunks', receipt && <TierDots receipt={receipt} />],
          ['Messages', window.messages],
          ['Model', window.model],
          ['From session', window.session_id],
          ['Tags', window.tags === undefined || window.tags.length === 0 ? undefined : <Tags of={window.tags} />],
          ['Made', window.created_at && age(window.created_at, now)],
          ['Thawed', window.thawed_at && `${plural(window.thaws ?? 1, 'time')}, last ${age(window.thawed_at, now)}`],
        ]}
      />
      <Warnings of={receipt?.warnings ?? []} />
      {family.ancestors.length + family.children.length === 0 ? null : (
        <>
          <h3>Family</h3>
          <FamilyTree name={name} family={family} />
        </>
      )}
      {state === 'frozen' ? (
        <>
          <h3>Thaw</h3>
          <form hx-post={`${windowPath(name)}/thaw`} hx-target="#dialog-body" hx-disabled-elt="find button">
            <Field name="session_id" label="Into session" hint="a new one when empty" />
            <Submit>Thaw</Submit>
          </form>
          <h3>Clone</h3>
          <form hx-post={`${windowPath(name)}/clone`} hx-target="#dialog-body" hx-disabled-elt="find button">
            <Field name="name" label="Name of the clone" required />
            <Field name="at" label="Only the first messages" type="number" hint="all when empty; whole exchanges" />
            <Submit>Clone</Submit>
          </form>
        </>
      ) : null}
      <h3>Delete</h3>
      <form hx-get={`${windowPath(name)}/delete`} hx-target="#dialog-body">
        <button type="submit" class="danger">
          Delete window…
        </button>
      </form>
    </article>
  )
}

/** From the oldest known ancestor down to this one and its children. */
function FamilyTree({ name, family: { ancestors, children } }: { readonly name: string; readonly family: Family }) {
  const line = [...ancestors].reverse()
  const leaf = (
    <li>
      <strong aria-current="true">{name}</strong>
      {children.length === 0 ? null : (
        <ul>
          {children.map((child) => (
            <li>
              <WindowLink name={child} />
            </li>
          ))}
        </ul>
      )}
    </li>
  )
  const tree = line.reduceRight(
    (below, ancestor) => (
      <li>
        <WindowLink name={ancestor} />
        <ul>{below}</ul>
      </li>
    ),
    leaf,
  )
  return <ul class="family">{tree}</ul>
}

function WindowLink({ name }: { readonly name: string }) {
  return (
    <button type="button" class="link" hx-get={windowPath(name)} hx-target="#dialog-body">
      {name}
    </button>
  )
}
