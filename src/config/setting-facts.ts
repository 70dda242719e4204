// What is known of each setting besides its value: whether it is a flag, its default, range and description. For the command line and the docs.

import { describeMemoryDefault, type MemorySetting, memoryRules } from './memory.ts'
import { fileOnly, type SettingName, settingNames, settingsSchema } from './schema.ts'

const secrets: readonly SettingName[] = [
  'secret',
  'operator_key',
  'upstream_api_key',
  'encryption_key',
  'encryption_keys_old',
  'otlp_headers',
]

/** Settings that are also flags. Secrets are not, because all users of a machine can read the command lines of processes. */
export const flagNames = settingNames.filter((name) => !fileOnly.includes(name) && !secrets.includes(name))

/** Whether a setting is a boolean, so that its flag without a value means true. */
export function isBooleanSetting(name: SettingName): boolean {
  return typeof settingsSchema.shape[name].safeParse(undefined).data === 'boolean'
}

/** The default of a setting, for help: its value, or which share of memory it is. Undefined if it has none or an empty list. */
export function describeDefault(name: SettingName): string | undefined {
  return Object.hasOwn(memoryRules, name) ? describeMemoryDefault(name as MemorySetting) : defaultOf(name)
}

/** The default of a setting, as a flag value. Undefined if it has none, an empty list, or a share of memory. */
export function defaultOf(name: SettingName): string | undefined {
  const { data } = settingsSchema.shape[name].safeParse(undefined)
  if (Array.isArray(data) && data.length > 0) return data.join(',')
  return data === undefined || typeof data === 'object' ? undefined : String(data)
}

/** The values that a setting accepts, taken from the error message for a wrong one. */
export function rangeOf(name: SettingName): string {
  const issue = settingsSchema.shape[name].safeParse(Symbol(name)).error?.issues[0]
  return issue?.message.replace(/^must be /, '') ?? ''
}

/** The description of a setting. */
export function describeSetting(name: SettingName): string {
  return settingsSchema.shape[name].description ?? ''
}
