// What Tab offers, by commander's tree.

import { describe, expect, it } from 'vitest'
import { createProgram } from '../program.ts'
import { argumentKinds, complete, optionKinds, pathOf, type ReadNames } from './candidates.ts'

const program = createProgram()
const asked: { kind: string; typed: string; url: string | undefined }[] = []
const readNames: ReadNames = async (kind, typed, { url }) => {
  asked.push({ kind, typed, url })
  return [{ value: `${kind}-1`, description: 'found' }]
}

/** The candidates for a line, whose last word ends at the cursor. */
async function at(line: string): Promise<readonly string[]> {
  const lines = await complete(program, line.split(' '), readNames)
  return lines.map((one) => one.split('\t')[0] ?? '')
}

it.each([
  ['comp', ['completion']],
  ['windows th', ['thaw']],
  ['windows thaw win', ['windows-1']],
  ['windows thaw done ', []],
  ['windows freeze ', []],
  ['windows thaw x --session ', ['sessions-1']],
  ['windows thaw x --session=', ['--session=sessions-1']],
  ['ask question --tag ', ['tags-1']],
  ['sessions end ', ['sessions-1']],
  ['library add lib', ['libraries-1']],
  ['library add x one.md ', [':files']],
  ['engines drain ', ['engines-1']],
  ['keys revoke key', ['keys-1']],
  ['keys create ', ['tenants-1']],
  ['windows list --tenant ', ['tenants-1']],
  ['windows freeze x --session ', ['sessions-1']],
  ['chat --model ', ['models-1']],
  ['plan --model ', [':files']],
  ['doctor --report ', [':files']],
  ['usage --by ', ['tenant', 'key', 'model', 'minute', 'hour', 'day']],
  ['usage --by tenant,m', ['tenant,model', 'tenant,minute']],
  ['usage --by day,', ['day,tenant', 'day,key', 'day,model']],
  ['usage --by=tenant,k', ['--by=tenant,key']],
  ['ask q --reduce s', ['synthesize']],
  ['completion f', ['fish']],
  ['serve --preserve-host t', ['true']],
  ['serve --preserve-host --por', ['--port']],
  ['serve --config ', [':files']],
  ['nonsense x', []],
])('completes %j', async (line, wanted) => {
  expect(await at(line)).toEqual(wanted)
})

it('offers all commands, but none that is hidden', async () => {
  expect(await at('')).toEqual([...program.commands.map((command) => command.name()), 'help'])
})

it('offers the options of a command, with the first clause of what they do', async () => {
  expect(await complete(program, ['usage', '--by'], readNames)).toEqual([
    '--by\tcomma-separated: tenant, key, model, and one of minute, hour, day',
  ])
})

it('asks the server that the line names', async () => {
  await at('windows thaw --url http://127.0.0.1:9 win')

  expect(asked.at(-1)).toEqual({ kind: 'windows', typed: 'win', url: 'http://127.0.0.1:9' })
})

describe('the tables', () => {
  const paths = program.commands.flatMap((command) => [
    pathOf([program, command]),
    ...command.commands.map((sub) => pathOf([program, command, sub])),
  ])
  const options = program.commands.flatMap(({ options, commands }) => [
    ...options,
    ...commands.flatMap((sub) => sub.options),
  ])

  it('name only commands and options that exist', () => {
    expect(Object.keys(argumentKinds).filter((path) => !paths.includes(path))).toEqual([])
    expect(
      Object.keys(optionKinds).filter((name) => options.every(({ long }) => long !== name.split(' ').at(-1))),
    ).toEqual([])
  })
})
