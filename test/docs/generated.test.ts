// The pages generated from the code: settings, the commented example, paths, errors, REST. They are compared with the committed ones;
// `npm run docs` writes them.

import { describe, expect, it } from 'vitest'
import { errorTable } from '../../src/base/errors.ts'
import type { JsonObject } from '../../src/base/json.ts'
import { variableOf } from '../../src/config/load.ts'
import { describeMemoryDefault, memoryBudgets, memoryRules, memorySettings } from '../../src/config/memory.ts'
import { isReloadable } from '../../src/config/reload.ts'
import { fileOnly, settingNames } from '../../src/config/schema.ts'
import { defaultOf, describeDefault, describeSetting, flagNames, rangeOf } from '../../src/config/setting-facts.ts'
import { type RestField, type RestModel, type RestParameter, restModel } from '../../src/dashboard/rest-model.ts'
import { type ApiPath, apiPaths, type PathKind } from '../../src/engines/api-paths.ts'
import { ask } from '../support/client.ts'
import { startStack } from '../support/stack.ts'
import { meaningOf } from './error-meanings.ts'

function settingsPage(): string {
  const rows = settingNames.map((name) => {
    const flag = flagNames.includes(name) ? `\`--${name.replaceAll('_', '-')}\`` : 'none'
    const variable = fileOnly.includes(name) ? 'none' : `\`${variableOf(name)}\``
    const value = name === 'upstream' ? '' : (describeDefault(name) ?? 'none')
    const reload = isReloadable(name) ? 'reload' : 'restart'
    return `| \`${name}\` | ${flag} | ${variable} | ${value} | ${rangeOf(name)} | ${reload} | ${describeSetting(name)} |`
  })
  return [
    '# Configuration',
    '',
    'Every setting of cwm, for the person who runs it. Start from `config/cwm.example.yaml`. This page is generated from `src/config/settings/` by `npm run docs`.',
    '',
    '- Flags override environment variables, and variables override the settings file (`--config FILE`, YAML).',
    '- cwm checks all settings at startup and reports every error together. An unknown name in the file is an error; an unknown `CWM_…` variable is a warning.',
    '- The column *change* says what a new value needs: a **reload** ([operating.md](operating.md#reloading-the-settings)) or a **restart**.',
    '',
    '| setting | flag | variable | default | values | change | what it is |',
    '|---|---|---|---|---|---|---|',
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
    'The defaults of these settings are shares of memory. An explicit value overrides the share.',
    '',
    "- *Memory* is the container's limit (cgroup v1 or v2), or the machine's memory if there is no limit.",
    "- Settings in the heap also depend on Node's heap limit (`--max-old-space-size`). If twice that limit is less than the memory, they are a share of that instead.",
    '- Shares are rounded down to whole MiB, at least 1.',
    '- If you set only one of `max_body_bytes` and `max_body_bytes_in_all`, the default of the other follows it, so that the largest body fits.',
    '- When `cwm serve` starts, it reports the limits it found and the values in force (`memory`).',
    '',
    'The values below are MiB.',
    '',
    '| setting | default | 512 MiB | 2 GiB | at most | where | what it bounds |',
    '|---|---|--:|--:|--:|---|---|',
    ...memorySettings.map((name) => {
      const { divisor, maxBytes, inHeap } = memoryRules[name]
      const values = [small[name], large[name], maxBytes].map((bytes) => bytes / MIB).join(' | ')
      return `| \`${name}\` | 1/${divisor} | ${values} | ${inHeap ? 'heap' : 'outside'} | ${describeSetting(name)} |`
    }),
    '',
    'All budgets together are less than a third of a 512 MiB container. The rest is for:',
    '',
    '- the process itself, about 100 MiB',
    '- parsed bodies: during its turn, a body needs its size again as strings, or twice that with characters beyond Latin-1',
    '- uncollected garbage',
    '',
  ]
}

const tenantsExample = `# tenants:
#   - id: acme
#     keys:  # created with: cwm key
#       - { name: main, sha256: "the 64 digits that it prints" }
#     # Everything below is optional, and overrides the setting of the same name for this tenant.
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
    if (name === 'routes') return `# ${describeSetting(name)}.\n# routes:\n#   plain:\n#     /v1/models/tiny: [GET]`
    if (name === 'tenants') return `# ${describeSetting(name)}.\n${tenantsExample}`
    const share = memorySettings.find((setting) => setting === name)
    const value = share === undefined ? (defaultOf(name) ?? '') : ` # ${describeMemoryDefault(share)}`
    return `# ${describeSetting(name)}.\n# ${name}: ${value}`.trimEnd()
  })
  return `# All settings of cwm with their defaults. Generated by \`npm run docs\`; use it with: cwm serve --config cwm.yaml\n\n${blocks.join('\n\n')}\n`
}

function errorsPage(): string {
  const rows = Object.entries(errorTable).map(
    ([code, [status, type]]) =>
      `| \`${code.toLowerCase()}\` | ${status} | \`${type}\` | ${meaningOf[code as keyof typeof errorTable]} |`,
  )
  return [
    '# Errors',
    '',
    'Every error code of cwm, what it means, and what to do: for people who write clients, and for operators. This page is generated from `src/base/errors.ts` by `npm run docs`.',
    '',
    '- Before an answer starts, an error is a JSON body in the format of the path. OpenAI\'s is `{"error": {"message", "type", "param", "code"}}`. On `/v1/messages` it is Anthropic\'s `{"type": "error", "error": {"type", "message", "code"}, "request_id"}`, whose message starts with the field.',
    '- `param` names the field, header, or path.',
    '- Within a stream, an error is an event. cwm then breaks the connection, so that a truncated answer never looks complete.',
    "- cwm forwards the engine's own errors unchanged.",
    '',
    '| code | status | type | what it means, and what to do |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}

/** What a reader needs to know of each kind of path, in the order of the page. */
const kinds: readonly (readonly [PathKind, string, string])[] = [
  ['session', 'Turns', 'Turns of a conversation. cwm puts the salt of the session into the JSON body.'],
  [
    'salted',
    'Requests without a session',
    'These requests start no session. Each gets a salt of its own, or that of its user or tenant under a wider [isolation](isolation.md).',
  ],
  [
    'guarded',
    'Rendering',
    'cwm checks the JSON body like that of a turn. The engine computes no KV, so the body gets no salt.',
  ],
  ['stored', 'Stored responses', 'Forwarded only for the tenant that owns the response.'],
  ['plain', 'Everything else that any client may use', 'Forwarded unchanged. The engine computes no KV.'],
  [
    'unsalted',
    'Rejected, because nothing isolates their KV',
    'The engine computes KV on these paths but accepts no `cache_salt`. cwm answers 403 `unsalted_path` unless the operator lists the path in the setting `unsalted_paths`. All tenants then share the KV of that path. cwm checks their bodies like those of turns: models, steering fields, media ids.',
  ],
  [
    'operator',
    "The engine's administration",
    "Forwarded only with the operator's key (setting `operator_key`); any other key, or none, gets 401. The engine receives `upstream_api_key`, never the operator's key.",
  ],
  ['never', 'Never forwarded', 'Clients get 404.'],
]

function pathsPage(): string {
  const sections = kinds.flatMap(([kind, title, text]) => [
    `## ${title}`,
    '',
    text,
    '',
    '| path | methods | notes |',
    '|---|---|---|',
    ...apiPaths.filter((entry) => entry.kind === kind).map((entry) => pathRow(entry)),
    '',
  ])
  return [
    "# Paths of the engine's API",
    '',
    'Every path of vLLM 0.32, and what cwm does with it. This page is for client developers who miss a path, and for operators. It is generated from `src/engines/api-paths.ts` by `npm run docs`.',
    '',
    '- The setting `routes` adds paths. `cwm doctor` lists the paths of your engine that this table does not have.',
    '- A test compares the table with the documents in `test/recorded/vllm-openapi.json`. `npm run engine:record-openapi` records them again.',
    '',
    ...sections,
  ].join('\n')
}

function pathRow({ path, methods, why, refused = {}, multipart, webSocket }: ApiPath): string {
  const fields = Object.entries(refused).map(([field, reason]) => `\`${field}\` is rejected: ${reason}.`)
  const form = multipart === true ? ['A form with files.'] : []
  const verbs = webSocket === true ? 'WebSocket' : methods.join(', ')
  return `| \`${path}\` | ${verbs} | ${[...form, ...(why === undefined ? [] : [why]), ...fields].join(' ')} |`
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
    'Answers with 400, 401, 403, 404, 409, 429, 502 and 503 are an [Error](#error); its codes are in [errors.md](errors.md)'
  return [
    '# REST',
    '',
    `Every call of cwm's REST API, with its fields and answers, for people who write clients. [http-api.md](http-api.md) explains how the calls work together. This page is generated from \`/cwm/openapi.json\` of cwm ${version} by \`npm run docs\`; every cwm also shows it at \`/cwm/ui/rest\`.`,
    '',
    `${common}.`,
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

  it('describe every path of the engine', async () => {
    await expect(pathsPage()).toMatchFileSnapshot('../../docs/paths.md')
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
