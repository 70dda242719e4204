// Accessibility rules, checked in the page by axe, in both color schemes and at three widths.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'

const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const views = (['light', 'dark'] as const).flatMap((colorScheme) =>
  [1440, 1024, 390].map((width) => ({ colorScheme, width })),
)

/** All rules that axe runs by default. What it would say about elements that are right is left out, because it takes time. */
const RUN = `axe.run({ resultTypes: ['violations'], selectors: false }).then(({ violations }) =>
  violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' ')))`

/** A resize observer runs between two frames. */
const SETTLED = 'new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))'
const TOO_WIDE = 'Math.max(0, document.documentElement.scrollWidth - innerWidth)'

/**
 * Checks what `page` shows in six views: the accessibility rules that it violates, and pixels by which it is wider than the screen. Returns
 * a line for each problem, beginning with `state` and the view.
 *
 * The page is loaded once, and then changes its color scheme and its width as a person may change them, which takes a tenth of loading it six
 * times. It stays in the last view, in which the next check begins, so that the pages of a test are loaded in different views.
 */
export function viewsOf(page: Page): (state: string) => Promise<string[]> {
  let current = 0
  return async (state) => {
    const axe = await loadAxe(page)
    const problems: string[] = []
    for (let n = 0; n < views.length; n++) {
      if (n > 0) current = (current + 1) % views.length
      const { colorScheme, width } = views[current] as (typeof views)[number]
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height: 844 })
      await page.evaluate(SETTLED)
      const tooWide = await page.evaluate<number>(TOO_WIDE)
      const found = [...(await axe()), ...(tooWide > 0 ? [`${tooWide} pixels too wide`] : [])]
      problems.push(...found.map((problem) => `${state}, ${colorScheme} at ${width} pixels: ${problem}`))
    }
    return problems
  }
}

/** Loads axe into the document that the page shows, in an isolated world, because the page's CSP blocks other scripts. */
async function loadAxe(page: Page): Promise<() => Promise<string[]>> {
  const session = await page.context().newCDPSession(page)
  const { frameTree } = await session.send('Page.getFrameTree')
  const { executionContextId: contextId } = await session.send('Page.createIsolatedWorld', {
    frameId: frameTree.frame.id,
  })
  await session.send('Runtime.evaluate', { expression: `${source};0`, contextId })
  return async () => {
    const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
      expression: RUN,
      contextId,
      awaitPromise: true,
      returnByValue: true,
    })
    if (exceptionDetails !== undefined) throw new Error(`axe: ${exceptionDetails.exception?.description}`)
    return result.value as string[]
  }
}
