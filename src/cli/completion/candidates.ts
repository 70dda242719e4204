// What can follow on a command line: subcommands, options, their values, and names from the running cwm. Commands and options are read from
// commander's tree.

import type { Argument, Command, Option } from 'commander'
import { usageDimensions } from '../../wire/usage.ts'
import type { ConnectionOptions } from '../client/rest.ts'
import type { Candidate, NameKind } from './names.ts'
import { FILES } from './scripts.ts'

type Kind = NameKind | 'files'

/** What the arguments of a command are. Names of something new are not listed, and not completed. */
export const argumentKinds: Readonly<Record<string, readonly (Kind | undefined)[]>> = {
  'windows show': ['windows'],
  'windows thaw': ['windows'],
  'windows clone': ['windows'],
  'windows delete': ['windows'],
  'windows export': ['windows'],
  'windows import': ['files'],
  'sessions show': ['sessions'],
  'sessions end': ['sessions'],
  'library add': ['libraries', 'files'],
  'library show': ['libraries'],
  'library delete': ['libraries'],
  'engines drain': ['engines'],
  'engines resume': ['engines'],
  'keys create': ['tenants'],
  'keys revoke': ['keys'],
}

/** What the values of options are. A command before the option is only needed where its value is not what other commands take. */
export const optionKinds: Readonly<Record<string, Kind>> = {
  '--window': 'windows',
  '--parent': 'windows',
  '--session': 'sessions',
  '--tenant': 'tenants',
  '--tag': 'tags',
  '--model': 'models',
  '--reduce-model': 'models',
  'plan --model': 'files',
  '--report': 'files',
  '--config': 'files',
  '--api-key-file': 'files',
  '--output': 'files',
}

const times: readonly string[] = ['minute', 'hour', 'day']

export type ReadNames = (kind: NameKind, typed: string, options: ConnectionOptions) => Promise<readonly Candidate[]>

/** Where the cursor is. */
interface Place {
  /** From the program down to the command. */
  readonly path: readonly Command[]
  /** Arguments before the cursor. */
  readonly count: number
  /** The option whose value is being typed. */
  readonly option: Option | undefined
  readonly connection: ConnectionOptions
}

/** The lines for the shell. `words` are those after `cwm`, the last one up to the cursor, and possibly empty. */
export async function complete(
  program: Command,
  words: readonly string[],
  readNames: ReadNames,
): Promise<readonly string[]> {
  const typed = words.at(-1) ?? ''
  const place = walk(program, words.slice(0, -1))
  const command = place.path.at(-1) ?? program
  const assigned = /^(--[a-z-]+)=(.*)$/s.exec(typed)
  if (place.option !== undefined && !isSkipped(place.option, typed))
    return await valuesOf(place.option, typed, '', place, readNames)
  if (assigned !== null) {
    const option = findOption(place.path, assigned[1] ?? '')
    return option === undefined ? [] : await valuesOf(option, assigned[2] ?? '', `${assigned[1]}=`, place, readNames)
  }
  if (typed.startsWith('-')) return linesOf(optionsOf(command), typed)
  if (place.count === 0 && command.commands.length > 0) return linesOf(subcommandsOf(command), typed)
  return await argumentLines(place, command, typed, readNames)
}

function walk(program: Command, words: readonly string[]): Place {
  let path: readonly Command[] = [program]
  let count = 0
  let option: Option | undefined
  const connection: Record<string, string> = {}
  for (const word of words) {
    if (option !== undefined && !isSkipped(option, word)) {
      connection[option.attributeName()] = word
      option = undefined
    } else if (word.startsWith('-') && word !== '-') {
      option = undefined
      const [name = '', value] = word.split(/=(.*)/s)
      const found = findOption(path, name)
      if (found !== undefined && (found.required || found.optional)) {
        if (value === undefined) option = found
        else connection[found.attributeName()] = value
      }
    } else {
      const sub = count === 0 ? path.at(-1)?.commands.find((one) => one.name() === word) : undefined
      if (sub === undefined) count++
      else path = [...path, sub]
    }
  }
  const { url, apiKeyFile, tenant } = connection
  return { path, count, option, connection: { url, apiKeyFile, tenant } }
}

/** Whether an option whose value is optional has none, because another option follows. */
function isSkipped(option: Option, word: string): boolean {
  return option.optional && word.startsWith('-')
}

function findOption(path: readonly Command[], name: string): Option | undefined {
  return path.flatMap(({ options }) => options).findLast(({ long, short }) => long === name || short === name)
}

async function valuesOf(
  option: Option,
  typed: string,
  before: string,
  place: Place,
  readNames: ReadNames,
): Promise<readonly string[]> {
  const name = option.long ?? ''
  if (name === '--by') return dimensionLines(typed, before)
  const kind = optionKinds[`${pathOf(place.path)} ${name}`] ?? optionKinds[name]
  if (kind !== undefined) return await kindLines(kind, typed, before, place, readNames)
  const choices = option.argChoices ?? (option.optional ? ['true', 'false'] : [])
  return linesOf(
    choices.map((value) => ({ value, description: '' })),
    typed,
    before,
  )
}

/** What a report can be grouped by, in addition to what the list has. Only one of the times may be in it. */
function dimensionLines(typed: string, before: string): readonly string[] {
  const first = typed.slice(0, typed.lastIndexOf(',') + 1)
  const listed = first.split(',')
  const hasTime = listed.some((name) => times.includes(name))
  const left = usageDimensions.filter((name) => !listed.includes(name) && !(hasTime && times.includes(name)))
  return linesOf(
    left.map((value) => ({ value, description: '' })),
    typed.slice(first.length),
    before + first,
  )
}

async function argumentLines(
  place: Place,
  command: Command,
  typed: string,
  readNames: ReadNames,
): Promise<readonly string[]> {
  const all: readonly Argument[] = command.registeredArguments
  const last = all.length - 1
  const at = place.count > last && all[last]?.variadic === true ? last : place.count
  const choices = all[at]?.argChoices
  if (choices !== undefined) {
    return linesOf(
      choices.map((value) => ({ value, description: '' })),
      typed,
    )
  }
  const kind = argumentKinds[pathOf(place.path)]?.[at]
  return kind === undefined ? [] : await kindLines(kind, typed, '', place, readNames)
}

/** The names of commands, without that of the program. */
export function pathOf(path: readonly Command[]): string {
  return path
    .slice(1)
    .map((command) => command.name())
    .join(' ')
}

async function kindLines(
  kind: Kind,
  typed: string,
  before: string,
  place: Place,
  readNames: ReadNames,
): Promise<readonly string[]> {
  if (kind === 'files') return [FILES]
  return linesOf(await readNames(kind, typed, place.connection), typed, before)
}

function subcommandsOf(command: Command): Candidate[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .map((sub) => ({ value: sub.name(), description: sub.description() }))
}

function optionsOf(command: Command): Candidate[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .map(({ long, short, description }) => ({ value: long ?? short ?? '', description }))
}

function linesOf(candidates: readonly Candidate[], typed: string, before = ''): string[] {
  return candidates
    .filter(({ value }) => value.startsWith(typed))
    .map(({ value, description }) => `${before}${value}\t${firstClause(description)}`)
}

/** Shells show a description on one line. */
function firstClause(description: string): string {
  return description.split(/\s*[\n;(]/, 1)[0] ?? ''
}
