// The pages generated from the code: settings, the commented example, errors, REST. They are compared with the committed ones;
// `npm run docs` writes them.

import { describe, expect, it } from 'vitest'
import { errorTable } from '../../src/base/errors.ts'
import type { JsonObject } from '../../src/base/json.ts'
import { variableOf } from '../../src/config/load.ts'
import { describeMemoryDefault, memoryBudgets, memoryRules, memorySettings } from '../../src/config/memory.ts'
import {
  defaultOf,
  describeDefault,
  describeSetting,
  fileOnly,
  flagNames,
  rangeOf,
  settingNames,
} from '../../src/config/schema.ts'
import { type RestField, type RestModel, type RestParameter, restModel } from '../../src/dashboard/rest-model.ts'
import { ask } from '../support/client.ts'
import { startStack } from '../support/stack.ts'
import { meaningOf } from './error-meanings.ts'

function settingsPage(): string {
  const rows = settingNames.map((name) => {
    const flag = flagNames.includes(name) ? `\`--${name.replaceAll('_', '-')}\`` : 'none'
    const variable = fileOnly.includes(name) ? 'none' : `\`${variableOf(name)}\``
    const value = name === 'upstream' ? '' : (describeDefault(name) ?? 'none')
    return `| \`${name}\` | ${flag} | ${variable} | ${value} | ${rangeOf(name)} | ${describeSetting(name)} |`
  })
  return [
    '# Configuration',
    '',
    'Made from `src/config/schema.ts` by `npm run docs`. A flag goes before a variable, a variable before the file (`--config FILE`, YAML).',
    'All faults are told at start, together; a name in the file that is not in this list is one, a `CWM_…` variable of such a name is warned of. `config/cwm.example.yaml` is a file to begin with.',
    '',
    '| setting | flag | variable | default | values | what it is |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
    ...memorySection(),
  ].join('\n')
}

const MIB = 1024 * 1024

function memorySection(): string[] {
  const inContainer = (mib: number) =>
    memoryBudgets({}, { memoryBytes: mib * MIB, source: 'container', heapBytes: (mib * MIB) / 2 })
  const [small, large] = [inContainer(512), inContainer(2048)]
  return [
    '## Memory',
    '',
    "These settings have a share of memory as their default: of the container's limit (cgroup v1 or v2), or of the machine's memory if there is none. An explicit value wins.",
    "What ends up as strings and objects counts against Node's heap limit too (`--max-old-space-size`): if twice that limit is less than the memory, the share is of that.",
    'Shares are rounded down to whole MiB, at least 1. If only one of `max_body_bytes` and `max_body_bytes_in_all` is set, the default of the other follows it, so that the largest body fits.',
    '`cwm serve` reports the limits it found and the values in force when it starts (`memory`). The values below are MiB.',
    '',
    '| setting | default | 512 MiB | 2 GiB | at most | where | what it bounds |',
    '|---|---|--:|--:|--:|---|---|',
    ...memorySettings.map((name) => {
      const { divisor, maxBytes, inHeap } = memoryRules[name]
      const values = [small[name], large[name], maxBytes].map((bytes) => bytes / MIB).join(' | ')
      return `| \`${name}\` | 1/${divisor} | ${values} | ${inHeap ? 'heap' : 'buffers'} | ${describeSetting(name)} |`
    }),
    '',
    'The budgets together are less than a third of a 512 MiB container. The rest is for the process itself (about 100 MiB), for parsed bodies (while its turn runs, a body takes as much again as strings, or twice that with characters beyond Latin-1), and for garbage that V8 has not collected yet.',
    '',
  ]
}

const tenantsExample = `# tenants:
#   - id: acme
#     keys:  # made by: cwm key
#       - { name: main, sha256: "the 64 digits that it tells" }
#     # What follows may be left out; each that has a setting of its own name below or above is that one, for this tenant.
#     models: [tiny]
#     allowed_fields: [priority]
#     isolation: session
#     max_in_flight_per_tenant: 32
#     max_sessions: 1000
#     max_windows: 100
#     max_window_bytes: 1073741824
#     max_pinned_tokens: 1000000
#     when_pins_full: release
#     pin_ttl_ms: 604800000
#     kv_quota_gb: 8`

function examplePage(): string {
  const blocks = settingNames.map((name) => {
    if (name === 'upstream') return `# ${describeSetting(name)}.\nupstream: http://127.0.0.1:8000`
    if (name === 'routes') return `# ${describeSetting(name)}.\n# routes:\n#   plain:\n#     /v1/embeddings: [POST]`
    if (name === 'tenants') return `# ${describeSetting(name)}.\n${tenantsExample}`
    const share = memorySettings.find((setting) => setting === name)
    const value = share === undefined ? (defaultOf(name) ?? '') : ` # ${describeMemoryDefault(share)}`
    return `# ${describeSetting(name)}.\n# ${name}: ${value}`.trimEnd()
  })
  return `# Settings of cwm, each with its default; made by \`npm run docs\`. Use it with: cwm serve --config cwm.yaml\n\n${blocks.join('\n\n')}\n`
}

function errorsPage(): string {
  const rows = Object.entries(errorTable).map(
    ([code, [status, type]]) =>
      `| \`${code.toLowerCase()}\` | ${status} | \`${type}\` | ${meaningOf[code as keyof typeof errorTable]} |`,
  )
  return [
    '# Errors',
    '',
    "Made from `src/base/errors.ts` by `npm run docs`. Before an answer has begun, an error is a JSON body in the dialect of the path: OpenAI's",
    '`{"error": {"message", "type", "param", "code"}}`, or on `/v1/messages` Anthropic\'s `{"type": "error", "error": {"type", "message", "code"}, "request_id"}`,',
    'whose message then begins with the field. `param` names the field, header or path at fault. Within a stream an error is an event, and the',
    'connection is broken after it: an answer that is cut never looks complete. Errors of the engine itself pass through as they are.',
    '',
    '| code | status | type | what it means, and what to do |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}

function restPage({ version, operations, shapes }: RestModel): string {
  const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
  const names = new Set(shapes.map(({ name }) => name))
  const type = (text: string) =>
    cell(
      text.replaceAll(/\b[A-Z][A-Za-z]+\b/g, (name) => (names.has(name) ? `[${name}](#${name.toLowerCase()})` : name)),
    )
  const fields = (of: readonly (RestField | RestParameter)[]) => [
    '| field | type | |',
    '|---|---|---|',
    ...of.map((field) => {
      const marks = ['in' in field ? `in the ${field.in}` : '', field.required ? 'required' : ''].filter(
        (mark) => mark !== '',
      )
      const words = [marks.join(', '), field.description].filter((word) => word !== '').join('. ')
      return `| \`${field.name}\` | ${type(field.type)} | ${cell(words)} |`
    }),
    '',
  ]
  const common =
    '400, 401, 403, 404, 409, 429, 502 and 503 are an [Error](#error), whose codes are in [errors.md](errors.md)'
  return [
    '# REST',
    '',
    `Made from \`/cwm/openapi.json\` of cwm ${version} by \`npm run docs\`; every cwm shows the same at \`/cwm/ui/rest\`. What the calls mean together is in [http-api.md](http-api.md). ${common}.`,
    '',
    ...operations.flatMap(({ method, path, summary, description, parameters, body, answers }) => [
      `## ${method} ${path}`,
      '',
      `${summary}.${description === '' ? '' : ` ${description}`}`,
      '',
      ...(parameters.length === 0 ? [] : fields(parameters)),
      ...(body.length === 0 ? [] : ['The body:', '', ...fields(body)]),
      '| answer | body | |',
      '|---|---|---|',
      ...answers
        .filter((answer) => answer.type !== 'Error')
        .map((answer) => `| ${answer.status} | ${type(answer.type)} | ${cell(answer.description)} |`),
      '',
    ]),
    '# Shapes',
    '',
    ...shapes.flatMap(({ name, fields: of }) => [`## ${name}`, '', ...fields(of)]),
  ].join('\n')
}

describe('the generated pages', () => {
  it('describe every setting as the schema does', async () => {
    await expect(settingsPage()).toMatchFileSnapshot('../../docs/configuration.md')
  })

  it('include an example file that lists every setting', async () => {
    await expect(examplePage()).toMatchFileSnapshot('../../config/cwm.example.yaml')
  })

  it('describe every error code', async () => {
    await expect(errorsPage()).toMatchFileSnapshot('../../docs/errors.md')
  })

  it('describe REST as its OpenAPI document does', async () => {
    const stack = await startStack({ sim: { lmcache: false } })
    const { text } = await ask(stack.url, '/cwm/openapi.json')
    await stack.close()

    await expect(restPage(restModel(JSON.parse(text) as JsonObject))).toMatchFileSnapshot('../../docs/rest.md')
  })
})
