// The form above a list: search, filters, and order. Each change shows the filtered list, and its address.

import type { Child } from 'hono/jsx'

interface FilterFormProps {
  /** Of the list: its element id. */
  readonly name: string
  readonly label: string
  readonly path: string
  readonly children?: Child
}

export function FilterForm({ name, label, path, children }: FilterFormProps) {
  return (
    <search aria-label={label}>
      <form
        id="filter"
        class="filter"
        action={path}
        hx-get={path}
        hx-target={`#${name}`}
        hx-swap="outerHTML"
        hx-trigger="input changed delay:250ms, change, submit"
        hx-sync={`#${name}:replace`}
        data-history="replace"
      >
        {children}
      </form>
    </search>
  )
}

interface TextFilterProps {
  readonly name: string
  readonly label: string
  readonly value: string
  readonly placeholder?: string
}

export function TextFilter({ name, label, value, placeholder }: TextFilterProps) {
  return (
    <label>
      <span>{label}</span>
      <input
        type="search"
        id={name}
        name={name}
        value={value}
        placeholder={placeholder}
        autocomplete="off"
        autocapitalize="none"
        spellcheck={false}
      />
    </label>
  )
}

interface ChoiceFilterProps {
  readonly name: string
  readonly label: string
  readonly options: Readonly<Record<string, string>>
  readonly chosen: string
}

export function ChoiceFilter({ name, label, options, chosen }: ChoiceFilterProps) {
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

export const orders = { desc: 'descending', asc: 'ascending' } as const
