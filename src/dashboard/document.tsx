// The HTML document around all pages.

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

export function Document({
  title,
  assets,
  children,
}: {
  readonly title: string
  readonly assets: string
  readonly children?: Child
}) {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="htmx-config" content={htmxConfig} />
        <title>{title}</title>
        <link rel="icon" href={`${assets}/icon.svg`} type="image/svg+xml" />
        <link rel="stylesheet" href={`${assets}/uplot.css`} />
        <link rel="stylesheet" href={`${assets}/dashboard.css`} />
        <script src={`${assets}/htmx.js`} defer />
        <script src={`${assets}/uplot.js`} defer />
        <script src={`${assets}/dashboard.js`} defer />
      </head>
      <body>{children}</body>
    </html>
  )
}
