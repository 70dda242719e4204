// The HTML document around all pages.

import { raw } from 'hono/html'
import type { Child } from 'hono/jsx'

/** htmx adds no inline styles and evaluates no code, as the CSP requires, and shows error responses where the content would have been. */
const htmxConfig = JSON.stringify({
  includeIndicatorStyles: false,
  allowEval: false,
  selfRequestsOnly: true,
  historyEnabled: false,
  disableInheritance: true,
  responseHandling: [
    { code: '204', swap: false },
    { code: '...', swap: true },
  ],
})

/** They are no modules. */
const libraries: ReadonlySet<string> = new Set(['htmx.js', 'uplot.js'])

export function Document({
  title,
  assets,
  scripts = [],
  styles = [],
  children,
}: {
  readonly title: string
  readonly assets: string
  /** By their names in assets.ts, in the order in which they run. */
  readonly scripts?: readonly string[]
  /** Besides the one of all pages. */
  readonly styles?: readonly string[]
  readonly children?: Child
}) {
  return (
    <>
      {/* Without it, browsers emulate those of 1998: tables would not inherit fonts. */}
      {raw('<!DOCTYPE html>')}
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <meta name="color-scheme" content="light dark" />
          <meta name="htmx-config" content={htmxConfig} />
          <title>{title}</title>
          <link rel="icon" href={`${assets}/icon.svg`} type="image/svg+xml" />
          {['dashboard.css', ...styles].map((name) => (
            <link rel="stylesheet" href={`${assets}/${name}`} />
          ))}
          {scripts.map((name) =>
            libraries.has(name) ? (
              <script src={`${assets}/${name}`} defer />
            ) : (
              <script type="module" src={`${assets}/${name}`} />
            ),
          )}
        </head>
        <body>{children}</body>
      </html>
    </>
  )
}
