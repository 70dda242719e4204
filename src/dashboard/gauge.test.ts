// What the gauge says to people who cannot see it, and that its marks are there in every state.

import { describe, expect, it } from 'vitest'
import { Gauge, type GaugeProps } from './gauge.tsx'

const gauge: GaugeProps = { used: 500, cached: 200, limit: 1_000, freezeAt: 0.75, windows: [] }
const render = async (props: Partial<GaugeProps>) => String(await Gauge({ ...gauge, ...props }))

describe('the gauge', () => {
  it.each([
    ['low', 500],
    ['high', 800],
    ['full', 950],
  ])('shows the cached part below the used one when the context is %s', async (level, used) => {
    const html = await render({ used })

    expect(html).toContain(`class="used ${level}"`)
    expect(html).toMatch(/class="cached" x="0" y="11" width="40" height="4"/)
  })

  it('says that the cached part is unknown, and shows none', async () => {
    const html = await render({ cached: null })

    expect(html).toContain('500 of 1,000 tokens, 50%; cached unknown; auto-freeze point at 75%')
    expect(html).toMatch(/class="unknown"/)
    expect(html).toMatch(/class="cached" x="0" y="11" width="0"/)
  })

  it('marks freezes and the rollover, each in its shape, and names them', async () => {
    const windows = [
      { name: 'read', tokens: 300 },
      { name: 'whole', tokens: 900 },
    ]

    const html = await render({ windows, rollover: 'whole' })

    expect(html).toContain('windows: read at 300; rolled over, complete in whole')
    expect(html.match(/class="frozen"/g)).toHaveLength(1)
    expect(html.match(/<polygon class="rollover" points="175,0 185,0 180,10"/g)).toHaveLength(1)
  })
})
