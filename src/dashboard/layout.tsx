// The frame around each tab: header, navigation, dialog, and the notice when cwm is unreachable.

import type { Child } from 'hono/jsx'
import type { Viewer } from './bindings.ts'
import { Document } from './document.tsx'

export interface Tab {
  readonly key: string
  readonly title: string
  /** Below `/cwm/ui`. */
  readonly path: string
  /**
   * `tenant`: shows the data of one tenant, so an operator has to choose one first. `operator`: needs the operator's key, and is hidden from
   * everybody else. `any`: of a tenant, or for the operator of all of them.
   */
  readonly scope: 'tenant' | 'operator' | 'any'
}

interface LayoutProps {
  readonly assets: string
  readonly tabs: readonly Tab[]
  /** The key of the current tab. */
  readonly tab: string
  readonly title: string
  /** Undefined if unknown. */
  readonly viewer: Viewer | undefined
  readonly scripts?: readonly string[]
  readonly styles?: readonly string[]
  readonly children?: Child
}

export function Layout({ assets, tabs, tab, title, viewer, scripts = [], styles = [], children }: LayoutProps) {
  const shown = tabs.filter(({ scope }) => scope !== 'operator' || viewer?.isOperator === true)
  return (
    <Document
      title={`${title} · cwm`}
      assets={assets}
      scripts={['htmx.js', ...scripts, 'dashboard.js']}
      styles={styles}
    >
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header>
        <p class="brand">cwm</p>
        <Who viewer={viewer} />
        <span class="signals">
          <span id="health" role="status" hx-get="/cwm/ui/health" hx-trigger="health from:body">
            <span class="state busy">Checking…</span>
          </span>
          <span id="live" class="state busy" role="status">
            Connecting…
          </span>
        </span>
        <a href="/cwm/docs/">Docs</a>
        <a href="/cwm/ui/rest">REST</a>
        {viewer?.isLoggedIn === true ? (
          <form method="post" action="/cwm/ui/logout">
            <button type="submit">Log out</button>
          </form>
        ) : (
          <a class="button" href="/cwm/ui/login">
            Use an API key
          </a>
        )}
      </header>
      <nav class="tabs" aria-label="Tabs">
        {shown.map(({ key, title: words, path }) => (
          <a href={`/cwm/ui${path}`} aria-current={key === tab ? 'page' : undefined}>
            {words}
          </a>
        ))}
      </nav>
      <div id="offline" role="alert" hidden>
        cwm does not answer. The page shows the last known state, and retries every ten seconds.
      </div>
      <main id="main" tabindex={-1}>
        <h1 class="unseen">{tabs.find(({ key }) => key === tab)?.title ?? title}</h1>
        {viewer === undefined || viewer.isLoggedIn ? null : (
          <p class="quiet">
            Showing requests without an API key. To see those of a key, choose <q>Use an API key</q>.
          </p>
        )}
        {children}
      </main>
      <dialog id="dialog" aria-label="Details">
        <form method="dialog" class="close">
          <button type="submit" aria-label="Close">
            ×
          </button>
        </form>
        <div id="dialog-error" />
        <div id="dialog-body" aria-live="polite" />
      </dialog>
    </Document>
  )
}

/** Whose data the page shows. An operator can change it. */
function Who({ viewer }: { readonly viewer: Viewer | undefined }) {
  if (viewer?.isOperator !== true) return null
  return (
    <p class="who">
      Operator, <strong>{viewer.tenant ?? 'all tenants'}</strong>{' '}
      {viewer.tenant === undefined ? null : (
        <form method="post" action="/cwm/ui/tenant" class="inline">
          <button type="submit" class="link">
            Show all tenants
          </button>
        </form>
      )}
    </p>
  )
}
