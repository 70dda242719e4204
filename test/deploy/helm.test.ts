// The Helm chart: helm accepts and renders it, Kubernetes' own schemas accept the result, and cwm accepts the settings in it.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { settingsSchema } from '../../src/config/schema.ts'
import { ask } from '../support/client.ts'
import { root, run, runPython, skipsWithout } from '../support/deploy-tools.ts'
import { documentsOf } from '../support/deploy-yaml.ts'
import { unknownVariablesIn } from '../support/named-settings.ts'
import { type Stack, startStack } from '../support/stack.ts'

const CHART = 'deploy/helm/cwm'
const examples = ['several', 'single'] as const
const valuesOf = (example: string) => `${CHART}/ci/${example}-values.yaml`

const probe = z.object({ httpGet: z.object({ path: z.string() }) })
const deploymentSchema = z.object({
  kind: z.literal('Deployment'),
  spec: z.object({
    template: z.object({
      spec: z.object({
        terminationGracePeriodSeconds: z.number(),
        containers: z.tuple([z.object({ startupProbe: probe, livenessProbe: probe, readinessProbe: probe })]),
      }),
    }),
  }),
})
const autoscalerSchema = z.object({
  kind: z.literal('HorizontalPodAutoscaler'),
  spec: z.object({ metrics: z.tuple([z.object({ pods: z.object({ metric: z.object({ name: z.string() }) }) })]) }),
})
/** The configuration of prometheus-adapter. */
const adapterSchema = z.object({
  rules: z.array(z.object({ seriesQuery: z.string(), name: z.object({ as: z.string() }) })),
})
const settingsSecretSchema = z.object({ kind: z.literal('Secret'), stringData: z.object({ 'cwm.yaml': z.string() }) })

const render = async (example: string, ...more: string[]) =>
  await run('helm', 'template', 'release', CHART, '--values', valuesOf(example), ...more)

/** The first document of that shape. */
function find<T>(text: string, schema: z.ZodType<T>): T {
  const found = documentsOf(text)
    .map((document) => schema.safeParse(document))
    .find(({ success }) => success)
  if (found?.data === undefined) throw new Error('the chart renders no such object')
  return found.data
}

describe.skipIf(skipsWithout('helm', 'python'))('the Helm chart', () => {
  let stack: Stack
  let folder: string
  beforeAll(async () => {
    stack = await startStack()
    folder = await mkdtemp(join(tmpdir(), 'cwm-helm-'))
  })
  afterAll(async () => {
    await stack.close()
    await rm(folder, { recursive: true, force: true })
  })

  it.each(examples)('passes helm lint: %s', async (example) => {
    const { code, text, errors } = await run('helm', 'lint', '--strict', CHART, '--values', valuesOf(example))

    expect(code, `${text}${errors}`).toBe(0)
    expect(text).not.toMatch(/\[(?:WARNING|ERROR)\]/)
  })

  it.each(examples)('renders what Kubernetes accepts: %s', async (example) => {
    const { text } = await render(example)
    // Kubernetes has no schema of the Prometheus operator's own objects.
    const own = documentsOf(text).filter(
      (document) => z.object({ kind: z.literal('ServiceMonitor') }).safeParse(document).error,
    )
    const file = join(folder, `${example}.yaml`)
    await writeFile(file, own.map((document) => JSON.stringify(document)).join('\n---\n'))
    const { code, text: output, errors } = await runPython('-m', 'kubernetes_validate', '--strict', file)

    expect(code, `${output}${errors}`).toBe(0)
  })

  it.each(examples)('gives cwm settings that it accepts, and variables that it knows: %s', async (example) => {
    const { text } = await render(example)
    const { 'cwm.yaml': yaml } = find(text, settingsSecretSchema).stringData
    const own = { host: '0.0.0.0', secret: 's'.repeat(16), operator_key: 'o'.repeat(16) }
    const parsed = settingsSchema.safeParse({ ...own, ...z.record(z.string(), z.unknown()).parse(parse(yaml)) })

    expect(parsed.error).toBeUndefined()
    expect(unknownVariablesIn(text.replaceAll(/#.*$/gm, ''))).toEqual([])
  })

  it('probes paths that answer', async () => {
    const { text } = await render('several')
    const [{ startupProbe, livenessProbe, readinessProbe }] = find(text, deploymentSchema).spec.template.spec.containers
    const paths = [startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet.path)
    const answers = await Promise.all(paths.map((path) => ask(stack.url, path)))

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  })

  it('scales by a metric that cwm has, and that the documented adapter serves', async () => {
    const { text } = await render('several')
    const { name } = find(text, autoscalerSchema).spec.metrics[0].pods.metric
    const metrics = await ask(stack.url, '/cwm/metrics')
    const page = await readFile(join(root, 'docs/deploy.md'), 'utf8')
    const [, yaml = ''] = /```yaml\n(rules:\n[\s\S]*?)```/.exec(page) ?? []
    const { rules } = adapterSchema.parse(parse(yaml))

    expect(metrics.text).toMatch(new RegExp(`^${name} \\d+$`, 'm'))
    expect(rules.map((rule) => rule.name.as)).toEqual([name])
    expect(rules[0]?.seriesQuery).toMatch(new RegExp(`^${name}\\{`))
  })

  it('gives a proxy the time to stop that its settings need', async () => {
    const seconds = async (...more: string[]) =>
      find((await render('several', ...more)).text, deploymentSchema).spec.template.spec.terminationGracePeriodSeconds

    // drain_delay_ms + drain_ms + 10 s, rounded up generously.
    expect(await seconds()).toBe(50)
    expect(await seconds('--set', 'settings.drain_ms=120000')).toBe(140)
  })

  it.each([
    ['no secret', 'single', 'existingSecret=', 'existingSecret'],
    ['a setting that does not exist', 'single', 'settings.upstrem=x', 'upstrem'],
    ['a setting that the chart sets', 'single', 'settings.port=1', 'port'],
    ['two replicas on one SQLite', 'single', 'replicaCount=2', 'set replicaCount to 1'],
    ['neither tenants nor any_key', 'single', 'settings.any_key=false', 'settings.tenants is required'],
  ])('rejects %s, and says what to do', async (_, example, change, expected) => {
    const { code, errors } = await render(example, '--set', change)

    expect(code).not.toBe(0)
    expect(errors).toContain(expected)
  })
})
