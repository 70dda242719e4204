// What cwm itself needs: a store that it may write, and a secret that others may not read.

import type { Check } from './check.ts'

export const storageChecks: readonly Check[] = [
  {
    id: 'store',
    title: 'The store can be used',
    proves: 'sessions and windows are kept, by whoever may and nobody else',
    run: ({ parts }) => parts.checkStore(),
  },
  {
    id: 'secret',
    title: 'The secret is kept',
    proves: 'salts cannot be guessed, and are the same after a restart',
    run: ({ parts }) => parts.checkSecret(),
  },
]
