// Settings from three places, the nearer first: flags, CWM_… variables, file. Parsed once; all faults are told together.

import { readFile } from 'node:fs/promises'
import { CwmError } from '../base/errors.ts'
import { type SettingName, type Settings, settingNames, settingsSchema } from './schema.ts'
import { parseYaml } from './yaml.ts'

/** The variable of a setting: `CWM_` and its name in capitals. */
export function variableOf(name: SettingName): string {
  return `CWM_${name.toUpperCase()}`
}

/** Those of the commands that call a running cwm. */
const clientVariables = ['CWM_URL', 'CWM_API_KEY']

/** Variables that look like settings and are none: misspelt ones, or those that Kubernetes makes for a Service named `cwm`. */
export function unknownVariables(environment: Readonly<Record<string, string | undefined>>): readonly string[] {
  const known = new Set(['CWM_CONFIG', ...clientVariables, ...settingNames.map(variableOf)])
  return Object.keys(environment).filter((name) => name.startsWith('CWM_') && !known.has(name))
}

/** A setting or the settings file is invalid: a usage error, unlike the other faults with code `CONFIG`. */
export class SettingsError extends CwmError {
  constructor(message: string, options: { param?: string; cause?: unknown } = {}) {
    super('CONFIG', message, options)
  }
}

export interface SettingSources {
  /** By setting name, from the command line; undefined ones do not count. */
  readonly flags: Readonly<Record<string, unknown>>
  readonly environment: Readonly<Record<string, string | undefined>>
  /** A YAML file (so JSON too). */
  readonly file: string | undefined
}

/** Throws `SettingsError` (`CONFIG`), with every fault in its message: which setting, where it came from, what it must be. */
export async function loadSettings({ flags, environment, file }: SettingSources): Promise<Settings> {
  const fromFile = file === undefined ? {} : await readSettingsFile(file)
  const merged: Record<string, unknown> = { ...fromFile }
  const origin = new Map<string, string>(Object.keys(fromFile).map((key) => [key, file ?? '']))
  for (const name of settingNames) {
    const variable = variableOf(name)
    const value = environment[variable]
    if (value !== undefined && value !== '') {
      merged[name] = value
      origin.set(name, variable)
    }
    if (flags[name] !== undefined) {
      merged[name] = flags[name]
      origin.set(name, `--${name.replaceAll('_', '-')}`)
    }
  }
  const parsed = settingsSchema.safeParse(merged)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.flatMap((issue) => {
    // Not for a tenant's keys: there, what is not known may be the key itself.
    if (issue.code === 'unrecognized_keys' && !issue.path.includes('keys')) {
      return issue.keys.map((key) => `${[...issue.path, key].join('.')}: not a setting (${file ?? 'file'})`)
    }
    const name = String(issue.path[0] ?? '')
    if (name === 'upstream' && merged.upstream === undefined) {
      return ['upstream: say where the engine is, with --upstream http://127.0.0.1:8000 or CWM_UPSTREAM']
    }
    const from = origin.get(name)
    return [`${issue.path.join('.')}: ${issue.message}${from === undefined ? '' : ` (${from})`}`]
  })
  throw new SettingsError(`the settings are wrong:\n  ${faults.join('\n  ')}`)
}

async function readSettingsFile(file: string): Promise<Record<string, unknown>> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw new SettingsError(`the settings file ${file} cannot be read`, { param: 'config', cause })
  }
  const { value, fault } = parseYaml(text)
  if (fault !== undefined) {
    throw new SettingsError(`the settings file ${file} is not valid YAML: ${fault}`, { param: 'config' })
  }
  if (value === null || value === undefined) return {}
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new SettingsError(`the settings file ${file} must hold settings by name`, { param: 'config' })
  }
  // `port:` with nothing behind it is not given, as an empty variable is not.
  return Object.fromEntries(Object.entries(value).filter(([, setting]) => setting !== null))
}
