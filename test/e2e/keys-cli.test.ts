// `cwm keys` as a process: the operator lists, creates, and revokes keys of tenants.

import { afterAll, beforeAll, expect, it } from 'vitest'
import type { CreatedKeyJson, KeyJson } from '../../src/wire/keys.ts'
import type { PageJson } from '../../src/wire/lists.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { CliProcess, type CliResult } from '../support/cli-process.ts'
import { fileKey, operatorKey, statusesOf, tenantSettings } from '../support/keys.ts'
import { type Stack, startStack } from '../support/stack.ts'

let built: BuiltCwm
let stack: Stack
beforeAll(async () => {
  ;[built, stack] = await Promise.all([buildCwm(), startStack({ settings: tenantSettings })])
})
afterAll(async () => {
  await stack.close()
  await built.dispose()
})

const cwm = (words: readonly string[], key = operatorKey): Promise<CliResult> =>
  new CliProcess(built, ['keys', ...words], { env: { CWM_URL: stack.url, CWM_API_KEY: key }, input: '' }).result()
const list = async (...words: readonly string[]) =>
  (JSON.parse((await cwm(['list', '--json', ...words])).out) as PageJson<KeyJson>).data

it('creates a key: the key alone on standard output, what it is and how to revoke it beside it', async () => {
  const { out, err, ended } = await cwm(['create', 'acme', 'ci', '--expires', '30d'])

  expect(out).toMatch(/^cwm-[A-Za-z0-9_-]{43}\n$/)
  expect(err).toMatch(/This is key ci of acme\. It expires at 20\S+\. .*\nto revoke it: cwm keys revoke key_\S+\n$/s)
  expect(ended).toBe(0)
  expect(await statusesOf(stack.url, out.trim())).toEqual([200, 200])
  const [key] = await list('--tenant', 'acme')
  const days = (Date.parse(String(key?.expires_at)) - Date.parse(String(key?.created_at))) / 86_400_000
  expect(days).toBeCloseTo(30, 3)
})

it('creates one that expires at a time, or never', async () => {
  const created = async (...words: readonly string[]) =>
    JSON.parse((await cwm(['create', 'globex', ...words, '--json'])).out) as CreatedKeyJson

  const [dated, lasting] = [await created('dated', '--expires', '2099-01-31'), await created('lasting')]

  expect([dated.expires_at, lasting.expires_at]).toEqual(['2099-01-31T00:00:00.000Z', null])
  expect(await statusesOf(stack.url, dated.secret)).toEqual([200, 200])
})

it('creates one with limits of its own, and says them', async () => {
  const { err } = await cwm(['create', 'acme', 'few', '--requests-per-minute', '60', '--tokens-per-minute', '50000'])
  const wrong = await cwm(['create', 'acme', 'none', '--requests-per-minute', '0'])

  expect(err).toContain('It may use 60 requests and 50000 tokens a minute.')
  const [key] = (await list('--tenant', 'acme')).filter(({ name }) => name === 'few')
  expect(key).toMatchObject({ requests_per_minute: 60, tokens_per_minute: 50_000 })
  const line = (await cwm(['list', '--tenant', 'acme'])).out.split('\n').find((text) => text.includes('\tfew\t'))
  expect(line?.split('\t').slice(-2)).toEqual(['60', '50000'])
  expect([wrong.ended, wrong.err.includes('It must be a whole number, 1 or more.')]).toEqual([2, true])
  await cwm(['revoke', String(key?.id), '--yes'])
})

it('lists keys of the file and of the store with tabs between for programs, page by page', async () => {
  const { out } = await cwm(['list', '--limit', '2'])

  const lines = out
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t').slice(0, 3))
  expect(lines).toEqual([
    ['acme', 'ci', 'rest'],
    ['acme', 'laptop', 'file'],
  ])
  expect((await list()).map(({ tenant, name }) => `${tenant} ${name}`)).toEqual([
    'acme ci',
    'acme laptop',
    'globex dated',
    'globex lasting',
    'globex main',
  ])
})

it('revokes a key, once that is confirmed', async () => {
  const { id, secret } = JSON.parse((await cwm(['create', 'acme', 'leaving', '--json'])).out) as CreatedKeyJson
  expect((await cwm(['revoke', String(id)])).ended).toBe(2)
  expect(await statusesOf(stack.url, secret)).toEqual([200, 200])

  const { out, ended } = await cwm(['revoke', String(id), '--yes'])

  expect([out, ended]).toEqual(['revoked leaving of acme: its next request is rejected\n', 0])
  expect(await statusesOf(stack.url, secret)).toEqual([401, 401])
  expect((await cwm(['revoke', String(id), '--yes'])).err).toContain('no key that was created by REST has the id')
})

it('explains what is wrong with an expiry, a tenant, and a key that is not the operator’s', async () => {
  const expiry = await cwm(['create', 'acme', 'x', '--expires', 'tomorrow'])
  const tenant = await cwm(['create', 'initech', 'x'])
  const key = await cwm(['list'], fileKey)

  expect([expiry.ended, tenant.ended, key.ended]).toEqual([2, 1, 1])
  expect(expiry.err).toContain('It must be a span like 90m, 12h, or 30d')
  expect(tenant.err).toContain('the settings list no tenant "initech"')
  expect(key.err).toContain("requires the operator's key")
})
