// Small components shared by several views.

import type { Child } from 'hono/jsx'
import type { RemarksJson } from '../wire/receipts.ts'
import { formatAge } from './format.ts'

type NamedValue = readonly [name: string, value: Child | undefined]

/** A list of names and values. Entries without a value are left out. */
export function FieldList({ fields }: { readonly fields: readonly NamedValue[] }) {
  return (
    <dl class="facts">
      {fields.map(([name, value]) =>
        value === undefined || value === '' ? null : (
          <div>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ),
      )}
    </dl>
  )
}

export function Note({ kind, children }: { readonly kind: 'bad' | 'weak' | 'quiet'; readonly children?: Child }) {
  return (
    <p class={`note ${kind}`} role={kind === 'bad' ? 'alert' : undefined}>
      {children}
    </p>
  )
}

interface FieldProps {
  readonly name: string
  readonly label: string
  readonly hint?: string
  readonly type?: 'text' | 'number' | 'password' | 'search'
  readonly required?: boolean
}

export function Field({ name, label, hint, type = 'text', required = false }: FieldProps) {
  const id = `field-${name}`
  return (
    <p class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        name={name}
        type={type}
        required={required}
        min={type === 'number' ? 1 : undefined}
        autocomplete="off"
        autocapitalize="none"
        spellcheck={false}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
      />
      {hint === undefined ? null : (
        <small id={`${id}-hint`} class="quiet">
          {hint}
        </small>
      )}
    </p>
  )
}

/** A submit button that shows when its request is running. */
export function Submit({
  kind = 'primary',
  children,
}: {
  readonly kind?: 'primary' | 'secondary' | 'danger'
  readonly children?: Child
}) {
  return (
    <button type="submit" class={kind === 'secondary' ? undefined : kind}>
      <span class="idle">{children}</span>
      <span class="busy">Working…</span>
    </button>
  )
}

/** The messages of a receipt. Warnings stand out, notes do not. */
export function Remarks({ receipt: { warnings, notes = [] } }: { readonly receipt: RemarksJson }) {
  return (
    <>
      {warnings.map((text) => (
        <Note kind="weak">{text}</Note>
      ))}
      {notes.map((text) => (
        <Note kind="quiet">{text}</Note>
      ))}
    </>
  )
}

/** A button that copies a text, such as an id. `label`: what it copies. */
export function Copy({ text, label }: { readonly text: string; readonly label: string }) {
  return (
    <button type="button" class="copy" data-copy={text} aria-label={`Copy ${label}`}>
      Copy
    </button>
  )
}

/** When something happened: how long ago, with the exact time on hover, which the page's script shows in the reader's zone. */
export function Ago({ iso, now }: { readonly iso: string; readonly now: number }) {
  return <time datetime={iso}>{formatAge(iso, now)}</time>
}
