// What the routes of a tab use: REST as the viewer, and an answer that is a whole page for the browser and a fragment for htmx, at one URL.

import type { Child } from 'hono/jsx'
import type { StatusCode } from 'hono/utils/http-status'
import type { Now } from '../base/clock.ts'
import type { Assets } from './assets.ts'
import type { App, Ctx, Viewer } from './bindings.ts'
import { Layout, type Tab } from './layout.tsx'
import type { Ask, Viewers } from './viewers.ts'

/** Adds the routes of a tab. */
export type Mount = (app: App, pages: Pages) => void

export interface Shown {
  /** The key of the tab. */
  readonly tab: string
  readonly title: string
  readonly body: Child
  /** What htmx gets instead of the body. */
  readonly fragment?: Child
  /** The canonical address of what the fragment shows. The browser's address bar takes it over if the request's element has `data-history`. */
  readonly url?: string
  /** Assets that only this page needs, by their names in assets.ts. */
  readonly scripts?: readonly string[]
  readonly styles?: readonly string[]
  readonly status?: StatusCode
}

export interface PagesParts {
  readonly assets: Assets
  readonly viewers: Viewers
  readonly tabs: readonly Tab[]
  readonly now: Now
}

/** Makes the page reload its regions, behind the dialog. */
export const refreshLists = { 'hx-trigger-after-settle': 'refresh' }

export class Pages {
  readonly #parts: PagesParts

  constructor(parts: PagesParts) {
    this.#parts = parts
  }

  /** Milliseconds since the epoch. */
  now(): number {
    return this.#parts.now()
  }

  /** REST as the viewer of this request. Throws `RestError`. */
  ask(c: Ctx): Ask {
    return this.#parts.viewers.ask(c)
  }

  /** REST with the operator's key for all tenants. Throws a `RestError` for other viewers. */
  askAll(c: Ctx): Ask {
    return this.#parts.viewers.askAll(c)
  }

  viewer(c: Ctx): Promise<Viewer> {
    return this.#parts.viewers.of(c)
  }

  /** REST's response to the viewer, unchanged: for streams. It ends when the browser leaves. */
  async fetch(c: Ctx, request: Request): Promise<Response> {
    return await this.#parts.viewers.fetch(c, request)
  }

  /** REST's response to a GET, as a file to save. Throws `RestError`. */
  async download(c: Ctx, path: string, filename: string): Promise<Response> {
    const answer = await this.fetch(c, new Request(new URL(path, 'http://cwm')))
    // The same call again, for its error.
    if (!answer.ok) await this.ask(c)('GET', path)
    const file = new Response(answer.body, answer)
    file.headers.set('content-disposition', `attachment; filename="${filename}"`)
    return file
  }

  /** Whether htmx asks, for a part of a page. */
  isFragment(c: Ctx): boolean {
    return c.req.header('hx-request') !== undefined
  }

  /** A part of a page, such as a receipt for the dialog. */
  async html(c: Ctx, body: Child, headers: Record<string, string> = {}, status: StatusCode = 200): Promise<Response> {
    return await c.html(<>{body}</>, status as 200, { vary: 'hx-request', ...headers })
  }

  /** The page of a tab, or its fragment for htmx. */
  async show(c: Ctx, shown: Shown): Promise<Response> {
    const { body, fragment = body, url, status } = shown
    if (this.isFragment(c)) return await this.html(c, fragment, url === undefined ? {} : { 'x-page-url': url }, status)
    const { assets, viewers, tabs } = this.#parts
    // While the store is down, nobody can be identified, and the page that says so is shown as to a stranger.
    const viewer = await viewers.of(c).catch(() => undefined)
    const page = (
      <Layout {...shown} assets={await assets.root()} tabs={tabs} viewer={viewer}>
        {body}
      </Layout>
    )
    return await this.html(c, page, {}, status)
  }

  /** Details of one thing: a page of their own, or the content of the dialog for htmx. */
  async showDetail(c: Ctx, shown: Omit<Shown, 'fragment' | 'url'>): Promise<Response> {
    if (this.isFragment(c)) return await this.html(c, shown.body)
    const tab = this.#parts.tabs.find(({ key }) => key === shown.tab)
    const body = (
      <section id="detail" class="card" aria-label={shown.title}>
        <p class="above">
          <a href={`/cwm/ui${tab?.path}`}>← {tab?.title}</a>
        </p>
        {shown.body}
      </section>
    )
    return await this.show(c, { ...shown, body })
  }
}
