// `cwm usage` as a process: a table for people, values for programs, CSV, JSON, and spans.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import type { UsageJson } from '../../src/wire/usage.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { CliProcess, type CliResult } from '../support/cli-process.ts'
import { chat, prose, user } from '../support/conversation.ts'
import { type Stack, startStack } from '../support/stack.ts'

const keys = { ci: 'sk-acme-ci-0123', web: 'sk-acme-web-0123', other: 'sk-other-0123456', operator: 'operator-0123456' }
const entry = (name: string, key: string) => ({ name, sha256: keyHash(key) })

let built: BuiltCwm
let stack: Stack
beforeAll(async () => {
  const tenants = [
    { id: 'acme', keys: [entry('ci', keys.ci), entry('web', keys.web)] },
    { id: 'other', keys: [entry('main', keys.other)] },
  ]
  ;[built, stack] = await Promise.all([buildCwm(), startStack({ settings: { tenants, operator_key: keys.operator } })])
  for (const key of [keys.ci, keys.ci, keys.web, keys.other]) {
    await chat(stack.url, [user(prose(300))], { headers: { authorization: `Bearer ${key}` } })
  }
})
afterAll(async () => {
  await stack.close()
  await built.dispose()
})

function usage(words: string, apiKey: string = keys.ci): Promise<CliResult> {
  const env = { CWM_URL: stack.url, CWM_API_KEY: apiKey }
  return new CliProcess(built, ['usage', ...words.split(' ').filter(Boolean)], { env, input: '' }).result()
}

const rowsOf = ({ out }: CliResult) =>
  out
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'))

it("prints one line per group with tabs between, of the key's own tenant only", async () => {
  const { out, err, ended } = await usage('--by key')

  const rows = rowsOf({ out, err, ended })
  expect(rows.map(([from, tenant, key, model, requests]) => [from, tenant, key, model, requests])).toEqual([
    ['', '', 'ci', '', '2'],
    ['', '', 'web', '', '1'],
  ])
  // Every line has a value, or an empty one, for every column.
  expect(rows.map((row) => row.length)).toEqual([16, 16])
  expect({ err, ended }).toEqual({ err: '', ended: 0 })
})

it('shows the operator all tenants, and with --tenant one of them', async () => {
  const all = await usage('', keys.operator)
  const one = await usage('--by key --tenant other', keys.operator)

  expect(rowsOf(all).map(([, tenant, , , requests]) => [tenant, requests])).toEqual([
    ['acme', '3'],
    ['other', '1'],
  ])
  expect(rowsOf(one).map(([, , key]) => key)).toEqual(['main'])
})

it('prints the response of REST with --json, and the same counts as CSV with --csv', async () => {
  const json = JSON.parse((await usage('--by key,minute --json')).out) as UsageJson
  const csv = (await usage('--by key,minute --csv')).out.trimEnd().split('\n')

  expect(json).toMatchObject({ by: ['key', 'minute'], unit: 'minute' })
  expect(csv).toHaveLength(json.data.length + 1)
  expect(csv[0]).toMatch(/^key,at,requests,/)
  expect(csv.slice(1).map((line) => line.split(',')[1])).toEqual(json.data.map(({ at }) => at))
})

it('takes ages and times as a span, and says so if it is empty', async () => {
  const recent = await usage('--from 90m')
  const long = await usage('--from 7d --to 2020-01-01T00:00:00Z')
  const old = await usage('--from 3d --to 2d')

  expect(rowsOf(recent)[0]?.[4]).toBe('3')
  expect(long).toMatchObject({ out: '', err: 'cwm: `from` must be before `to`\n', ended: 1 })
  expect(old).toEqual({ out: '', err: 'no requests in this span\n', ended: 0 })
})

it.each([
  ['--from 999999d', "option '--from <time>' argument '999999d' is invalid. It must be a time like", 2],
  ['--from yesterday', "option '--from <time>' argument 'yesterday' is invalid. It must be a time like", 2],
  ['--by tenant,bogus', 'Unknown: "bogus". Known: tenant, key, model, minute, hour, day.', 2],
  ['--csv --json', '"message":"pass either --csv or --json"', 2],
  ['--by minute,hour', 'cwm: group by one of minute, hour, and day', 1],
])('refuses %s', async (words, reason, code) => {
  const { out, err, ended } = await usage(words)

  expect(err).toContain(reason)
  expect({ out, ended }).toEqual({ out: '', ended: code })
})
