// Checks of cwm's own storage: a writable store, and a secret that others cannot read.

import type { Check } from './check.ts'

export const storageChecks: readonly Check[] = [
  {
    id: 'store',
    title: 'The store is usable',
    proves: 'sessions and windows can be stored, and other users cannot read them',
    run: ({ parts }) => parts.checkStore(),
  },
  {
    id: 'secret',
    title: 'The secret is safe',
    proves: 'salts cannot be guessed, and stay the same after a restart',
    run: ({ parts }) => parts.checkSecret(),
  },
]
