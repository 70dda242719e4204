// The fleet in tables: what answers and what does not, the engines, and the confirmation before one is drained.

import type { Child } from 'hono/jsx'
import type { EngineJson } from '../../wire/engines.ts'
import type { HealthJson } from '../../wire/health.ts'
import { FieldList, Note } from '../components.tsx'
import { formatNumber, pluralize } from '../format.ts'
import { Confirmation, Receipt } from '../receipts.tsx'
import { Region } from '../regions.tsx'
import { type Column, Table } from '../table.tsx'

/** `children`: the engines, if the viewer may see them. */
export function Parts({ health, children }: { readonly health: HealthJson; readonly children?: Child }) {
  const { store, upstream, lmcache, version } = health
  return (
    <Region id="fleet" url="/cwm/ui/fleet">
      <section class="card" aria-labelledby="parts-title">
        <h2 id="parts-title">Health</h2>
        <FieldList
          fields={[
            ['cwm', version],
            ['Store', <Answers ok={store.ok} what={store.kind} />],
            ['Engines', <Answers ok={upstream.ok} what={upstream.error ?? `circuit breaker ${upstream.breaker}`} />],
            [
              'LMCache',
              lmcache.ok === null ? (
                'not configured'
              ) : (
                <Answers ok={lmcache.ok} what={lmcache.pins ? 'pins' : 'cannot pin'} />
              ),
            ],
            ...lmcache.servers.map(
              ({ instance_id, url, ok }) => ['LMCache server', <Answers ok={ok} what={instance_id ?? url} />] as const,
            ),
          ]}
        />
        {lmcache.warnings.map((warning) => (
          <Note kind="weak">{warning}</Note>
        ))}
        {children === null ? (
          <Note kind="quiet">The operator’s key also shows each engine, and can drain it.</Note>
        ) : null}
      </section>
      {children}
    </Region>
  )
}

function Answers({ ok, what }: { readonly ok: boolean; readonly what: string }) {
  return (
    <>
      <span class={`state ${ok ? 'good' : 'bad'}`}>{ok ? 'answers' : 'does not answer'}</span>{' '}
      <span class="quiet">({what})</span>
    </>
  )
}

const columns: readonly Column[] = [
  { title: 'Engine' },
  { title: 'State' },
  { title: 'In flight', kind: 'number' },
  { title: 'Placed sessions', kind: 'number wide' },
  { title: 'Weight', kind: 'number wide' },
  { title: 'Models', kind: 'wide' },
  { title: 'LMCache', kind: 'wide' },
  { title: 'Action', kind: 'action' },
]

export function Engines({ engines }: { readonly engines: readonly EngineJson[] }) {
  return (
    <section class="card" aria-labelledby="engines-title">
      <h2 id="engines-title">Engines</h2>
      <Table caption="Engines" columns={columns}>
        {engines.map((engine) => (
          <EngineRow engine={engine} />
        ))}
      </Table>
    </section>
  )
}

const health = { up: 'good', starting: 'busy', draining: 'weak', down: 'bad' } as const

function EngineRow({ engine }: { readonly engine: EngineJson }) {
  const { id, state, drained, breaker, error, in_flight, placements, weight, models, lmcache_instance } = engine
  return (
    <tr>
      <th scope="row">
        <code>{id}</code>
        {error === undefined ? null : <small class="bad parent">{error}</small>}
      </th>
      <td>
        <span class={`state ${health[state]}`}>{drained ? 'drained' : state}</span>
        {breaker === 'closed' ? null : <small class="quiet parent">breaker {breaker.replace('_', ' ')}</small>}
      </td>
      <td class="number">{formatNumber(in_flight)}</td>
      <td class="number wide">{placements === null ? '–' : formatNumber(placements)}</td>
      <td class="number wide">{weight === 0 ? 'standby' : weight}</td>
      <td class="wide">{models === null ? '–' : models.join(', ')}</td>
      <td class="wide">{lmcache_instance ?? '–'}</td>
      <td class="action">
        <EngineAction engine={engine} />
      </td>
    </tr>
  )
}

function EngineAction({ engine: { id, drained_by } }: { readonly engine: EngineJson }) {
  if (drained_by === 'settings') return <span class="quiet">drained by settings</span>
  if (drained_by === 'operator') {
    return (
      <form hx-post="/cwm/ui/fleet/resume" hx-target="#dialog-body" hx-disabled-elt="find button">
        <input type="hidden" name="engine" value={id} />
        <button type="submit" id={`resume-${id}`}>
          Resume
        </button>
      </form>
    )
  }
  return (
    <form hx-get="/cwm/ui/fleet/drain" hx-target="#dialog-body">
      <input type="hidden" name="engine" value={id} />
      <button type="submit" id={`drain-${id}`}>
        Drain…
      </button>
    </form>
  )
}

export function ConfirmDrain({ engine }: { readonly engine: string }) {
  return (
    <Confirmation
      title={`Drain ${engine}?`}
      path="/cwm/ui/fleet/drain"
      action="Drain"
      fields={{ engine }}
      isPermanent={false}
    >
      It receives no new work, on every proxy that shares the store, until it is resumed. Its requests in flight finish,
      and each of its sessions moves to another engine with its next turn.
    </Confirmation>
  )
}

export function Drained({ engine: { id, state, in_flight } }: { readonly engine: EngineJson }) {
  return (
    <Receipt title={state === 'draining' ? `Draining: ${id}` : `Resumed: ${id}`}>
      <FieldList
        fields={[
          ['State', state],
          ['In flight', pluralize(in_flight, 'request')],
        ]}
      />
    </Receipt>
  )
}
