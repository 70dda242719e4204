// The messages of a window or a session: pages, search, and one message in full. On demand, on a page of its own.

import type { MessagesJson } from '../../wire/messages.ts'
import type { App, Ctx } from '../bindings.ts'
import { listAssets } from '../list-page.tsx'
import type { Pages } from '../pages.tsx'
import { Messages, messagesUrl, type Reading, SearchForm } from './messages.tsx'

interface Source {
  readonly of: 'windows' | 'sessions'
  readonly param: 'name' | 'id'
  readonly apiPath: (name: string) => string
  /** Of its details. */
  readonly path: (name: string) => string
}

const PAGE_SIZE = 20
const MAX_CHARS = 1_000_000

export function mountMessages(app: App, pages: Pages, { of, param, apiPath, path }: Source): void {
  app.get(`/${of}/:${param}/messages`, async (c: Ctx) => {
    const name = c.req.param(param) ?? ''
    const reading: Reading = {
      path: `${path(name)}/messages`,
      search: (c.req.query('search') ?? '').trim(),
      offset: Math.max(0, Math.trunc(Number(c.req.query('offset') ?? 0)) || 0),
      isWhole: c.req.query('whole') === 'true',
    }
    const messages = await pages.ask(c)<MessagesJson>('GET', `${apiPath(name)}/messages?${queryOf(reading)}`)
    const list = <Messages messages={messages} reading={reading} />
    const body = (
      <section class="card" aria-label={`Messages of ${name}`}>
        <p class="above">
          <a href={path(name)}>← {name}</a>
        </p>
        <h2>Messages of {name}</h2>
        <SearchForm reading={reading} />
        {list}
      </section>
    )
    const url = messagesUrl(reading)
    return await pages.show(c, { tab: of, title: `Messages of ${name}`, body, fragment: list, url, ...listAssets })
  })
}

function queryOf({ search, offset, isWhole }: Reading): URLSearchParams {
  return new URLSearchParams({
    offset: String(offset),
    ...(search === '' ? {} : { search }),
    ...(isWhole ? { limit: '1', max_chars: String(MAX_CHARS) } : { limit: String(PAGE_SIZE) }),
  })
}
