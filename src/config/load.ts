// Loads the settings from flags, CWM_… variables, and a file, in this order of precedence. All errors are reported together.

import { readFile } from 'node:fs/promises'
import { CwmError } from '../base/errors.ts'
import { type SettingName, type Settings, settingNames, settingsSchema } from './schema.ts'
import { parseYaml } from './yaml.ts'

/** The environment variable of a setting: `CWM_` and its name in upper case. */
export function variableOf(name: SettingName): string {
  return `CWM_${name.toUpperCase()}`
}

/** Variables that other software reads too. They count if the setting's own variable is not set. */
const standardVariables: Partial<Record<SettingName, string>> = {
  otlp_endpoint: 'OTEL_EXPORTER_OTLP_ENDPOINT',
  otlp_headers: 'OTEL_EXPORTER_OTLP_HEADERS',
}

/** Variables of the commands that call a running cwm. */
const clientVariables = ['CWM_URL', 'CWM_API_KEY']

/** Variables that look like settings but are not: misspelled ones, or those that Kubernetes sets for a Service named `cwm`. */
export function unknownVariables(environment: Readonly<Record<string, string | undefined>>): readonly string[] {
  const known = new Set(['CWM_CONFIG', ...clientVariables, ...settingNames.map(variableOf)])
  return Object.keys(environment).filter((name) => name.startsWith('CWM_') && !known.has(name))
}

/** A setting or the settings file is invalid. This is a usage error, unlike other errors with code `CONFIG`. */
export class SettingsError extends CwmError {
  constructor(message: string, options: { param?: string; cause?: unknown } = {}) {
    super('CONFIG', message, options)
  }
}

export interface SettingSources {
  /** Command-line flags by setting name. Undefined values are ignored. */
  readonly flags: Readonly<Record<string, unknown>>
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Path of a YAML (or JSON) file. */
  readonly file: string | undefined
}

/** Throws `SettingsError` (`CONFIG`). Its message lists every error: which setting, where it was set, and what it must be. */
export async function loadSettings({ flags, environment, file }: SettingSources): Promise<Settings> {
  const fromFile = file === undefined ? {} : await readSettingsFile(file)
  const merged: Record<string, unknown> = { ...fromFile }
  const origin = new Map<string, string>(Object.keys(fromFile).map((key) => [key, file ?? '']))
  for (const name of settingNames) {
    const variable = variableIn(environment, name, merged[name] !== undefined)
    if (variable !== undefined) {
      merged[name] = environment[variable]
      origin.set(name, variable)
    }
    if (flags[name] !== undefined) {
      merged[name] = flags[name]
      origin.set(name, `--${name.replaceAll('_', '-')}`)
    }
  }
  const parsed = settingsSchema.safeParse(merged)
  if (parsed.success) return parsed.data
  const errors = parsed.error.issues.flatMap((issue) => {
    // Not for a tenant's keys, where an unrecognized name may be the key itself.
    if (issue.code === 'unrecognized_keys' && !issue.path.includes('keys')) {
      return issue.keys.map((key) => `${[...issue.path, key].join('.')}: not a setting (${file ?? 'file'})`)
    }
    const name = String(issue.path[0] ?? '')
    if (name === 'upstream' && merged.upstream === undefined) {
      return [
        'upstream: required; give the address of the engine, for example --upstream http://127.0.0.1:8000 or CWM_UPSTREAM',
      ]
    }
    const from = origin.get(name)
    return [`${issue.path.join('.')}: ${issue.message}${from === undefined ? '' : ` (${from})`}`]
  })
  throw new SettingsError(`invalid settings:\n  ${errors.join('\n  ')}`)
}

/** The variable that sets a setting; undefined if none does. Standard variables do not override the settings file, which is cwm's own. */
function variableIn(
  environment: SettingSources['environment'],
  name: SettingName,
  isInFile: boolean,
): string | undefined {
  const isSet = (variable: string) => (environment[variable] ?? '') !== ''
  const own = variableOf(name)
  if (isSet(own)) return own
  const standard = standardVariables[name]
  const counts = standard !== undefined && !isInFile && environment.OTEL_SDK_DISABLED?.toLowerCase() !== 'true'
  return counts && isSet(standard) ? standard : undefined
}

async function readSettingsFile(file: string): Promise<Record<string, unknown>> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw new SettingsError(`the settings file ${file} cannot be read`, { param: 'config', cause })
  }
  const { value, fault: error } = parseYaml(text)
  if (error !== undefined) {
    throw new SettingsError(`the settings file ${file} is not valid YAML: ${error}`, { param: 'config' })
  }
  if (value === null || value === undefined) return {}
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new SettingsError(`the settings file ${file} must be a map of settings`, { param: 'config' })
  }
  // `port:` without a value counts as not set, like an empty variable.
  return Object.fromEntries(Object.entries(value).filter(([, setting]) => setting !== null))
}
