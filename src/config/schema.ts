// Every setting of cwm, with its unit, its default, and the meaning of its absence. Help and docs/configuration.md are generated from this.

import { z } from 'zod'
import { findConflicts } from './rules.ts'
import { accessSettings } from './settings/access.ts'
import { engineSettings } from './settings/engines.ts'
import { httpSettings } from './settings/http.ts'
import { operationSettings } from './settings/operation.ts'
import { shareSettings } from './settings/shares.ts'
import { bounds } from './tenants.ts'

/** In the order of docs/configuration.md. */
const shape = {
  ...engineSettings,
  ...accessSettings,
  ...shareSettings,
  ...httpSettings,
  ...operationSettings,
}

/** Named as in the settings file. The variable of `max_body_bytes` is `CWM_MAX_BODY_BYTES`, its flag `--max-body-bytes`. */
export const settingsSchema = z.strictObject(shape).superRefine(
  (settings, context) => {
    for (const fault of findConflicts(settings)) context.addIssue({ code: 'custom', ...fault })
  },
  // Reported together with errors of single settings, not after them.
  { when: () => true },
)

export type Settings = z.infer<typeof settingsSchema>
export type SettingName = keyof Settings
export const settingNames = Object.keys(settingsSchema.shape) as SettingName[]

/** Settings that are too large for a variable or a flag. */
export const fileOnly: readonly SettingName[] = ['routes', 'tenants', 'limits']

/**
 * Settings that a reload changes (SIGHUP, `POST /cwm/v1/reload`); all others need a restart. `test/e2e/reload-effects.test.ts` has a test of
 * the effect for each. Rights and limits of tenants are among them.
 */
export const reloadable = [
  // Only from one fleet to another: `planReload`.
  'upstream',
  'upstream_api_key',
  'operator_key',
  'tenants',
  'any_key',
  'max_in_flight',
  'queue_ms',
  'max_queued',
  'max_preflights',
  'limits',
  'log_level',
  ...(Object.keys(bounds) as (keyof typeof bounds)[]),
] as const satisfies readonly SettingName[]
export type ReloadableSetting = (typeof reloadable)[number]
