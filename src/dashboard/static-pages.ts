// Pages that are the same for everybody: built once, and not sent again to browsers that have them.

import type { HtmlEscapedString } from 'hono/utils/html'
import type { StaticDocument } from '../base/static-document.ts'
import type { Ctx } from './bindings.ts'

export const HTML = 'text/html; charset=UTF-8'

/** The text of a rendered page. */
export async function htmlOf(page: HtmlEscapedString | Promise<HtmlEscapedString>): Promise<string> {
  return String(await (await page).toString())
}

export async function sendStatic(c: Ctx, document: StaticDocument): Promise<Response> {
  const { status, body, headers } = await document.answer(c.req.header('if-none-match'))
  return c.newResponse(body, status, headers)
}
