// compose.yaml: the schema of the Compose specification accepts it, and what it names exists: settings, paths, files, flags, services.

import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { loadSettings, unknownVariables } from '../../src/config/load.ts'
import { ask } from '../support/client.ts'
import { pathOf, root, runPython, skipsWithout } from '../support/deploy-tools.ts'
import { readYaml } from '../support/deploy-yaml.ts'
import { startStack } from '../support/stack.ts'

const FILE = 'deploy/compose.yaml'
const serviceSchema = z.object({
  image: z.string(),
  build: z.object({ dockerfile: z.string().default('Dockerfile') }).optional(),
  profiles: z.array(z.string()).default([]),
  command: z.array(z.string()).default([]),
  environment: z.record(z.string(), z.string()).default({}),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  secrets: z.array(z.string()).default([]),
  depends_on: z.record(z.string(), z.unknown()).default({}),
  networks: z.object({ default: z.object({ aliases: z.array(z.string()) }) }).optional(),
  healthcheck: z.object({ test: z.array(z.string()) }),
})
const compose = z
  .object({
    services: z.record(z.string(), serviceSchema),
    volumes: z.record(z.string(), z.unknown()),
    secrets: z.record(z.string(), z.unknown()),
  })
  .parse(await readYaml(FILE))
const services = Object.entries(compose.services).map(([name, service]) => ({ name, ...service }))
const proxies = services.filter(({ name }) => name.startsWith('cwm-'))

/** With made-up values for the variables of `.env`. */
const filled = (text: string) =>
  text.replaceAll(
    /\$\{([A-Z0-9_]+)(?::\?[^}]*|:-([^}]*))?\}/g,
    (_, name: string, value?: string) => value ?? `${name}-0123456789`,
  )

it.skipIf(skipsWithout('python', 'compose-schema'))('conforms to the Compose specification', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cwm-compose-'))
  await writeFile(join(folder, 'compose.json'), JSON.stringify(await readYaml(FILE)))
  const { code, text, errors } = await runPython(
    '-m',
    'jsonschema',
    '--instance',
    join(folder, 'compose.json'),
    pathOf('compose-schema'),
  )
  await rm(folder, { recursive: true })

  expect(code, `${text}${errors}`).toBe(0)
})

describe('compose.yaml', () => {
  it('gives cwm settings that it accepts, and no variable that it does not know', async () => {
    expect(proxies).toHaveLength(2)
    for (const { environment } of proxies) {
      const values = Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, filled(value)]))
      // As the Dockerfile sets it.
      const settings = await loadSettings({
        flags: {},
        environment: { ...values, CWM_HOST: '0.0.0.0' },
        file: undefined,
      })

      expect(unknownVariables(values)).toEqual([])
      expect(settings.upstream).toBe('http://vllm:8000')
    }
  })

  it('asks cwm for its health on a path that answers', async () => {
    const stack = await startStack()
    for (const { healthcheck } of proxies) {
      const [, path = ''] = /127\.0\.0\.1:8787(\/[^']+)/.exec(healthcheck.test.join(' ')) ?? []
      expect((await ask(stack.url, path)).status).toBe(200)
    }
    await stack.close()
  })

  it('pins each image', () => {
    for (const { image } of services) expect(image).toMatch(/:v?\d+\.\d+\.\d+(-[a-z]+)?$/)
  })

  it('publishes ports on loopback only', () => {
    for (const port of services.flatMap(({ ports }) => ports)) expect(port).toMatch(/^127\.0\.0\.1:/)
  })

  it('depends on services of the same profile, and mounts what exists', () => {
    for (const { name, profiles, depends_on: needed, volumes, secrets, build } of services) {
      for (const other of Object.keys(needed)) {
        const found = services.find((service) => service.name === other)
        expect(found, `${name} needs ${other}`).toBeDefined()
        if (found?.profiles.length !== 0) expect(found?.profiles).toEqual(expect.arrayContaining(profiles))
      }
      for (const [source = ''] of volumes.map((volume) => volume.split(':'))) {
        if (source.startsWith('./')) expect(existsSync(join(root, 'deploy', source)), source).toBe(true)
        else expect(Object.keys(compose.volumes)).toContain(source)
      }
      expect(Object.keys(compose.secrets)).toEqual(expect.arrayContaining(secrets))
      if (build !== undefined) expect(existsSync(join(root, build.dockerfile)), build.dockerfile).toBe(true)
    }
  })

  it.each(['cpu', 'gpu'])('has an engine, LMCache and a coordinator under their names in profile %s', (profile) => {
    const aliases = services
      .filter(({ profiles }) => profiles.includes(profile))
      .flatMap(({ networks }) => networks?.default.aliases ?? [])

    expect(aliases.sort()).toEqual(['coordinator', 'lmcache', 'vllm'])
  })

  it('starts engines with flags that the real engine of the tests is started with', async () => {
    const up = await readFile(join(root, 'scripts/engine/up.sh'), 'utf8')
    const known = new Set(up.match(/--[a-z0-9-]+/g))
    const used = services.filter(({ image }) => image.startsWith('cwm-engine-')).flatMap(({ command }) => command)
    const flags = used.filter((word) => word.startsWith('--'))

    expect(flags.length).toBeGreaterThan(40)
    expect(flags.filter((flag) => !known.has(flag))).toEqual([])
  })

  it('is what Prometheus scrapes', async () => {
    const jobs = z.object({
      scrape_configs: z.array(z.object({ static_configs: z.tuple([z.object({ targets: z.array(z.string()) })]) })),
    })
    const { scrape_configs: scraped } = jobs.parse(await readYaml('deploy/prometheus/prometheus.yml'))
    const names = [
      ...services.map(({ name }) => name),
      ...services.flatMap(({ networks }) => networks?.default.aliases ?? []),
    ]
    const hosts = scraped.flatMap(({ static_configs: [{ targets }] }) => targets.map((target) => target.split(':')[0]))

    expect(hosts).toHaveLength(3)
    expect(hosts.filter((host) => host === undefined || !names.includes(host))).toEqual([])
  })

  it('lists the variables that it reads in .env.example', async () => {
    const example = await readFile(join(root, 'deploy/.env.example'), 'utf8')
    const read = [...(await readFile(join(root, FILE), 'utf8')).matchAll(/\$\{([A-Z0-9_]+)/g)].map(([, name]) => name)
    const listed = [...example.matchAll(/^(?:# )?([A-Z0-9_]+)=/gm)].map(([, name]) => name)

    expect([...new Set(read)].sort()).toEqual(listed.sort())
  })

  it('builds the engine for GPUs from the versions that are tested', async () => {
    const [file, versions] = await Promise.all(
      ['deploy/engine-gpu.Dockerfile', 'scripts/engine/common.sh'].map((path) => readFile(join(root, path), 'utf8')),
    )
    const tested = (name: string) => new RegExp(`^${name}=(\\S+)$`, 'm').exec(versions ?? '')?.[1]

    expect(file).toContain(`vllm/vllm-openai:v${tested('VLLM_VERSION')}`)
    expect(file).toContain(`lmcache==${tested('LMCACHE_VERSION')}`)
  })
})
