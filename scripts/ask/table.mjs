// The table of `npm run ask`.

const columns = [
  ['windows', ({ windows }) => windows],
  ['at once', ({ parallel }) => parallel],
  ['load tokens/s', ({ load }) => (Number.isFinite(load) ? number(load) : 'at once')],
  ['restored', ({ restored }) => number(restored)],
  ['computed', ({ computed }) => number(computed)],
  ['of', ({ prompt }) => number(prompt)],
  ['seconds', ({ ms }) => (ms / 1_000).toFixed(1)],
  ['prefill of all, s', ({ prompt, prefill }) => (prompt / prefill).toFixed(1)],
]

/** As Markdown. The last column is what an engine needs to compute all prompts instead. */
export function tableOf(rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [
    line(columns.map(([title]) => title)),
    line(columns.map(() => '--:')),
    ...rows.map((row) => line(columns.map(([, of]) => of(row)))),
  ].join('\n')
}

const number = (value) => (value === null ? 'unknown' : value.toLocaleString('en-US'))
