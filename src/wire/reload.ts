// The result of a reload of the settings.

import { z } from 'zod'

const names = z.array(z.string())

export const reloadSchema = z
  .object({
    changed: names.describe('Settings with a new value, in force from now on'),
    needs_restart: names.describe('Settings whose new value takes effect only at the next start'),
    keys_added: names.describe('Keys of tenants that are accepted from now on, as TENANT/NAME'),
    keys_removed: names.describe('Keys of tenants that are no longer accepted'),
  })
  .meta({ id: 'Reload' })

export type ReloadJson = z.infer<typeof reloadSchema>
