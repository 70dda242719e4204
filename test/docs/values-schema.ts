// The schema of the chart's values. Names of settings come from cwm's own schema, so that Helm refuses a misspelled one.

import { fileOnly, type SettingName, settingNames } from '../../src/config/schema.ts'
import { describeSetting } from '../../src/config/setting-facts.ts'

/** Set by the chart itself, or taken from its Secret. */
const OWN: readonly SettingName[] = [
  ...(['host', 'port', 'data_dir', 'store', 'secret', 'operator_key'] as const),
  ...(['encryption_key', 'upstream_api_key'] as const),
]

const text = { type: 'string' }
const name = { type: 'string', minLength: 1 }
const flag = { type: 'boolean' }
const map = { type: 'object' }
const list = { type: 'array', items: map }
const count = { type: 'integer', minimum: 1 }

const object = (properties: Record<string, object>, required: readonly string[] = []) => ({
  type: 'object',
  additionalProperties: false,
  ...(required.length === 0 ? {} : { required }),
  properties,
})

function settings() {
  const names = settingNames.filter((one) => !OWN.includes(one))
  const shape = (one: SettingName) => (fileOnly.includes(one) ? {} : { not: { type: 'null' } })
  return object(Object.fromEntries(names.map((one) => [one, { description: describeSetting(one), ...shape(one) }])), [
    'upstream',
  ])
}

/** As it is written to `values.schema.json`. */
export function valuesSchema(): string {
  const schema = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    ...object(
      {
        global: map,
        image: object({ repository: name, tag: text, pullPolicy: { enum: ['Always', 'IfNotPresent', 'Never'] } }),
        imagePullSecrets: list,
        existingSecret: name,
        settings: settings(),
        replicaCount: count,
        persistence: object({ enabled: flag, size: name, storageClassName: text }),
        autoscaling: object({ enabled: flag, minReplicas: count, maxReplicas: count, targetRequestsInFlight: count }),
        podDisruptionBudget: object({ enabled: flag, maxUnavailable: { type: ['integer', 'string'] } }),
        service: object({ type: { enum: ['ClusterIP', 'LoadBalancer', 'NodePort'] }, port: count, annotations: map }),
        serviceMonitor: object({ enabled: flag, interval: name, labels: map }),
        ...{ resources: map, podAnnotations: map, nodeSelector: map, tolerations: list, affinity: map },
      },
      ['existingSecret', 'settings'],
    ),
  }
  // Lists on one line, as the formatter has them.
  const lines = JSON.stringify(schema, null, 2).replaceAll(/\[\s+([^[\]{}]*?)\s+\]/g, (_, items: string) => {
    return `[${items.split(/,\s+/).join(', ')}]`
  })
  return `${lines}\n`
}
