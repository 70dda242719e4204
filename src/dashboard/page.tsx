// The complete pages: the dashboard and the login.

import type { HealthJson } from '../wire/health.ts'
import type { TenantJson } from '../wire/tenants.ts'
import { Field, Note } from './components.tsx'
import { Document } from './document.tsx'
import { formatNumber } from './format.ts'
import { GaugeLegend } from './gauge.tsx'
import { Sessions, type SessionsProps } from './sessions.tsx'
import { FilterForm, type WindowFilter, Windows, type WindowsProps } from './windows.tsx'

export interface DashboardProps {
  readonly assets: string
  readonly tenant: TenantJson
  readonly loggedIn: boolean
  readonly filter: WindowFilter
  readonly sessions: SessionsProps
  readonly windows: WindowsProps
}

export function Dashboard({ assets, tenant, loggedIn, filter, sessions, windows }: DashboardProps) {
  return (
    <Document title="cwm" assets={assets}>
      <a class="skip" href="#sessions-title">
        Skip to sessions
      </a>
      <header>
        <h1>
          cwm <span class="quiet tenant">{tenant.id}</span>
        </h1>
        <span id="health" role="status" hx-get="/cwm/ui/health" hx-trigger="load, every 30s">
          <span class="state busy">Checking…</span>
        </span>
        <a href="/cwm/ui/rest">REST</a>
        {loggedIn ? (
          <form method="post" action="/cwm/ui/logout">
            <button type="submit">Log out</button>
          </form>
        ) : (
          <a class="button" href="/cwm/ui/login">
            Use an API key
          </a>
        )}
      </header>
      <div id="offline" role="alert" hidden>
        cwm does not answer. The page shows the last known state, and retries every ten seconds.
      </div>
      <main>
        {loggedIn ? null : (
          <p class="quiet">
            Showing sessions and windows of requests without an API key. To see those of a key, choose{' '}
            <q>Use an API key</q>.
          </p>
        )}
        <section id="summary" aria-label="Usage" hx-get="/cwm/ui/summary" hx-trigger="refresh from:body">
          <Summary tenant={tenant} />
        </section>
        <section class="charts" aria-label="Last hour">
          <figure>
            <figcaption>
              Cached share of prompts <output id="cached-now" />
            </figcaption>
            <div id="cached-chart" class="chart" role="img" aria-label="Cached share of prompts over the last hour" />
          </figure>
          <figure>
            <figcaption>
              Time to first token, mean and slowest <output id="ttft-now" />
            </figcaption>
            <div id="ttft-chart" class="chart" role="img" aria-label="Time to first token over the last hour" />
          </figure>
        </section>
        <section aria-labelledby="sessions-title">
          <h2 id="sessions-title" tabindex={-1}>
            Sessions
          </h2>
          <GaugeLegend />
          <div
            id="sessions"
            hx-get="/cwm/ui/sessions"
            hx-trigger="refresh from:body"
            hx-include="#sessions [name=cursor]"
            hx-target="this"
            hx-sync="this:drop"
          >
            <Sessions {...sessions} />
          </div>
        </section>
        <section aria-labelledby="windows-title">
          <h2 id="windows-title">Windows</h2>
          <FilterForm filter={filter} />
          <div
            id="windows"
            hx-get="/cwm/ui/windows"
            hx-trigger="refresh from:body"
            hx-include="#filter, #windows [name=cursor]"
            hx-target="this"
            hx-sync="this:drop"
          >
            <Windows {...windows} />
          </div>
        </section>
        <section aria-labelledby="events-title">
          <h2 id="events-title">
            Events <span id="live" class="state busy" role="status" />
          </h2>
          <ol id="events" class="plain" />
          <p id="no-events" class="empty">
            No events since this page was opened.
          </p>
        </section>
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

export function Summary({ tenant: { usage } }: { readonly tenant: TenantJson }) {
  const totals = [
    ['Sessions', formatNumber(usage.sessions)],
    ['Windows', formatNumber(usage.windows)],
    ['Pinned tokens', formatNumber(usage.pinned_tokens)],
    ['Stored', bytes(usage.window_bytes)],
  ] as const
  return (
    <dl class="cards">
      {totals.map(([name, value]) => (
        <div>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

function bytes(value: number): string {
  if (value < 1_024) return `${value} B`
  const units = ['KiB', 'MiB', 'GiB', 'TiB']
  const step = Math.min(units.length, Math.floor(Math.log2(value) / 10))
  return `${(value / 1_024 ** step).toFixed(1)} ${units[step - 1]}`
}

export function HealthState({ health }: { readonly health: HealthJson }) {
  const problems = [
    ...(health.upstream.ok ? [] : ['Engine does not answer']),
    ...(health.store.ok ? [] : ['Store does not answer']),
    // LMCache's warnings explain a failure. Without any, a server was just lost.
    ...(health.lmcache.ok === false && health.lmcache.warnings.length === 0 ? ['LMCache does not answer'] : []),
    ...health.lmcache.warnings,
  ]
  if (problems.length === 0) return <span class="state good">Healthy</span>
  return <span class={`state ${health.upstream.ok && health.store.ok ? 'weak' : 'bad'}`}>{problems.join('; ')}</span>
}

export function Login({ assets, refusal }: { readonly assets: string; readonly refusal?: string | undefined }) {
  return (
    <Document title="cwm: log in" assets={assets}>
      <main class="login">
        <h1>cwm</h1>
        {refusal === undefined ? null : <Note kind="bad">{refusal}</Note>}
        <form method="post" action="/cwm/ui/login">
          <Field name="api_key" label="API key" type="password" required />
          <Field name="tenant" label="Tenant" hint="Only with the operator’s key." />
          <button type="submit" class="primary">
            Log in
          </button>
        </form>
        <p class="quiet">The key is kept for eight hours in an encrypted cookie that only these pages receive.</p>
      </main>
    </Document>
  )
}
