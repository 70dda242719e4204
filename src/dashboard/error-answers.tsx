// How errors are shown: where the content would have been, and above a form, whose input stays.

import { RestError } from '../base/call-rest.ts'
import { CwmError, toCwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { Ctx } from './bindings.ts'
import { Note } from './components.tsx'
import type { Tab } from './layout.tsx'
import type { Pages } from './pages.tsx'
import { Receipt } from './receipts.tsx'
import { Region } from './regions.tsx'

interface ErrorAnswerParts {
  readonly pages: Pages
  readonly tabs: readonly Tab[]
  readonly log: Logger
  /** Of the dashboard. */
  readonly path: string
}

/**
 * The answer to a request that failed: a page, or in place of what htmx asked for. 401 leads to the login. Logs errors that are cwm's fault.
 */
export async function answerError(thrown: unknown, c: Ctx, parts: ErrorAnswerParts): Promise<Response> {
  const { pages, tabs, log, path } = parts
  const { status, message } = describeError(thrown)
  if (status === 500) log.error({ err: toCwmError(thrown) }, 'dashboard')
  if (status === 401) {
    if (!pages.isFragment(c)) return c.redirect(`${path}/login`, 303)
    return c.body(null, 401, { 'hx-redirect': `${path}/login` })
  }
  if (pages.isFragment(c)) {
    if (c.req.method !== 'POST') return await pages.html(c, fragmentOf(c, message), {}, status as 400)
    return await pages.html(c, <Note kind="bad">{message}</Note>, { 'hx-retarget': '#dialog-error' }, status as 400)
  }
  const tab = tabs.findLast((one) => one.path !== '' && c.req.path.startsWith(path + one.path))
  // What cwm cannot do now, it may be able to do later.
  const again = status >= 500 ? addressOf(c) : undefined
  const tabUrl = path + (tab?.path ?? '')
  const body = <ErrorPage message={message} again={again} tabTitle={tab?.title ?? 'Overview'} tabUrl={tabUrl} />
  return await pages.show(c, { tab: tab?.key ?? '', title: 'Error', body, status: status as 400 })
}

/** A region stays one, so that the next refresh asks for it again. */
function fragmentOf(c: Ctx, message: string) {
  const target = c.req.header('hx-target')
  if (target === 'health') return <span class="state bad">{message}</span>
  if (target === undefined || target === 'dialog-body') {
    return (
      <Receipt title="Request failed">
        <Note kind="bad">{message}</Note>
      </Receipt>
    )
  }
  return (
    <Region id={target} url={addressOf(c)}>
      <Note kind="bad">{message}</Note>
      <p class="quiet">This page tries again every ten seconds.</p>
    </Region>
  )
}

function addressOf(c: Ctx): string {
  const { pathname, search } = new URL(c.req.url)
  return pathname + search
}

interface ErrorPageProps {
  readonly message: string
  /** The same page; undefined if it would fail again. */
  readonly again: string | undefined
  readonly tabTitle: string
  readonly tabUrl: string
}

function ErrorPage({ message, again, tabTitle, tabUrl }: ErrorPageProps) {
  return (
    <section class="card" aria-labelledby="error-title">
      <h2 id="error-title">Request failed</h2>
      <Note kind="bad">{message}</Note>
      <p class="links">
        {again === undefined ? null : <a href={again}>Try again</a>}
        <a href={tabUrl}>{tabTitle}</a>
      </p>
    </section>
  )
}

function describeError(thrown: unknown): { readonly status: number; readonly message: string } {
  if (thrown instanceof RestError) return { status: thrown.status === 0 ? 503 : thrown.status, message: thrown.message }
  if (thrown instanceof CwmError) return thrown
  return { status: 500, message: 'internal error; see the log of cwm' }
}
