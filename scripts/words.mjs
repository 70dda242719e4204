// The words that texts of attacks and lives are made of.

export const WORDS = [
  'tide',
  'lantern',
  'mill',
  'timber',
  'ferry',
  'ledger',
  'north',
  'quay',
  'seven',
  'slow',
  'market',
  'bell',
]
