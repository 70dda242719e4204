// How well a window is stored: its state, its tiers, its tags.

import type { FreezeReceiptJson } from '../../wire/receipts.ts'
import type { WindowJson } from '../../wire/windows.ts'
import { formatNumber, formatPercent } from '../format.ts'

export function formatRestorable(receipt: FreezeReceiptJson | undefined): string {
  if (receipt === undefined || receipt.tokens === 0) return '–'
  return `${formatNumber(receipt.restorable_tokens)} (${formatPercent(receipt.restorable_tokens / receipt.tokens)})`
}

/** State and health in a word. A frozen window is healthy only if its chunks are stored behind memory. */
export function State({ window: { state, receipt } }: { readonly window: WindowJson }) {
  const health =
    state === 'failed' ? 'bad' : state !== 'frozen' ? 'busy' : receipt?.durability === 'l2' ? 'good' : 'weak'
  const words =
    state === 'frozen' && receipt !== undefined && receipt.durability !== 'l2' ? `frozen, ${receipt.durability}` : state
  return <span class={`state ${health}`}>{words}</span>
}

export function Tiers({ receipt }: { readonly receipt: FreezeReceiptJson | undefined }) {
  if (receipt === undefined) return null
  const { l1, l2, total } = receipt.tiers
  return (
    <span class="tiers">
      <Tier name="L1" seen={l1} total={total} />
      <Tier name="L2" seen={l2} total={total} />
      {receipt.pinned ? <span class="mark">pinned</span> : null}
    </span>
  )
}

function Tier({ name, seen, total }: { readonly name: string; readonly seen: number | null; readonly total: number }) {
  if (seen === null) return <span class="tier unknown">{name} ?</span>
  return (
    <span class={`tier ${seen === total && total > 0 ? 'whole' : seen > 0 ? 'part' : 'none'}`}>
      {name} {formatNumber(seen)}/{formatNumber(total)}
    </span>
  )
}

export function Tags({ tags = [] }: { readonly tags?: readonly string[] | undefined }) {
  return (
    <>
      {tags.map((tag) => (
        <span class="tag">{tag}</span>
      ))}
    </>
  )
}
