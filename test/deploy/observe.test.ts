// Alert rules and the Grafana dashboard: promtool accepts them, their metrics exist, and each alert has a section in the runbook.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { z } from 'zod'
import { anchorsOf } from '../docs/pages.ts'
import { ask } from '../support/client.ts'
import { root, run, skipsWithout } from '../support/deploy-tools.ts'
import { readYaml } from '../support/deploy-yaml.ts'
import { startStack } from '../support/stack.ts'

const RULES = 'deploy/prometheus/alerts.yml'
const alertSchema = z.object({
  alert: z.string(),
  expr: z.string(),
  annotations: z.object({ summary: z.string(), runbook: z.string() }),
})
const rulesSchema = z.object({ groups: z.array(z.object({ rules: z.array(alertSchema) })) })
const testsSchema = z.object({
  tests: z.array(
    z.object({ alert_rule_test: z.array(z.object({ alertname: z.string(), exp_alerts: z.unknown().optional() })) }),
  ),
})
const dashboardSchema = z.object({
  panels: z.array(
    z.object({
      id: z.number(),
      title: z.string(),
      targets: z.array(z.object({ expr: z.string() })).optional(),
      gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
    }),
  ),
})

const alerts = rulesSchema.parse(await readYaml(RULES)).groups.flatMap(({ rules }) => rules)
const dashboard = dashboardSchema.parse(
  JSON.parse(await readFile(join(root, 'deploy/grafana/dashboards/cwm.json'), 'utf8')),
)
const queries = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))

/** Names of metrics in an expression, as Prometheus stores them: `…_bucket` is part of a histogram. `up` is Prometheus' own. */
function metricsIn(expression: string): string[] {
  const names = expression.match(/\b(?:cwm|process|nodejs)_[a-z_]+\b/g) ?? []
  return [...new Set(names.map((name) => name.replace(/_(?:bucket|count|sum)$/, '')))]
}

describe('alerts and dashboard', () => {
  let known: Set<string>
  beforeAll(async () => {
    const stack = await startStack()
    const { text } = await ask(stack.url, '/cwm/metrics')
    await stack.close()
    known = new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => name))
  })

  it('use metrics that cwm has', () => {
    const used = [...alerts.map(({ expr }) => expr), ...queries].flatMap(metricsIn)

    expect(used.length).toBeGreaterThan(40)
    expect([...new Set(used)].filter((name) => !known.has(name))).toEqual([])
  })

  it('have a section in the runbook for each alert, and no other', () => {
    const anchors = anchorsOf('docs/runbook.md')
    const names = alerts.map(({ alert }) => alert.toLowerCase())

    expect([...anchors].filter((anchor) => anchor.startsWith('cwm')).sort()).toEqual([...names].sort())
    expect(alerts.map(({ annotations }) => annotations.runbook)).toEqual(names.map((name) => `docs/runbook.md#${name}`))
  })

  it('have a test for each alert, in which it fires, and one in which it does not', async () => {
    const { tests } = testsSchema.parse(await readYaml('deploy/prometheus/alerts.test.yml'))
    const tried = tests.flatMap(({ alert_rule_test: all }) => all)
    const namesOf = (fires: boolean) =>
      tried.filter(({ exp_alerts: expected }) => (expected !== undefined) === fires).map(({ alertname }) => alertname)
    const names = alerts.map(({ alert }) => alert).sort()

    expect(namesOf(true).sort()).toEqual(names)
    expect(namesOf(false).sort()).toEqual(names)
  })

  it('have panels that do not overlap', () => {
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
    )

    expect(new Set(cells).size).toBe(cells.length)
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
  })
})

describe.skipIf(skipsWithout('promtool'))('promtool', () => {
  it('accepts the rules', async () => {
    const { code, errors } = await run('promtool', 'check', 'rules', '--lint-fatal', RULES)

    expect({ code, errors }).toEqual({ code: 0, errors: '' })
  })

  it('sees each alert fire for its cause, and not before its time', async () => {
    const { code, text, errors } = await run('promtool', 'test', 'rules', 'deploy/prometheus/alerts.test.yml')

    expect(code, `${text}${errors}`).toBe(0)
  })

  it('accepts the configuration of Prometheus', async () => {
    // The file of the operator's key exists in the container only.
    const file = 'deploy/prometheus/prometheus.yml'
    const { code, errors } = await run('promtool', 'check', 'config', '--syntax-only', file)

    expect({ code, errors }).toEqual({ code: 0, errors: '' })
  })

  it('accepts every query of the dashboard', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cwm-queries-'))
    const rules = queries.map((query, at) => ({
      record: `query:${at}`,
      // Grafana replaces its own variables before it asks.
      expr: query.replaceAll('$__rate_interval', '1m').replaceAll('$job', 'cwm'),
    }))
    await writeFile(join(folder, 'queries.yml'), stringify({ groups: [{ name: 'queries', rules }] }))
    const { code, errors } = await run('promtool', 'check', 'rules', join(folder, 'queries.yml'))
    await rm(folder, { recursive: true })

    expect({ code, errors }).toEqual({ code: 0, errors: '' })
  })
})
