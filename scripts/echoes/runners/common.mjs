// Shared by all runners in JavaScript: reads the cases, runs each variant, and prints to stdout what an SDK refused to do.

/** Runs `variants[name](case, baseUrl)` for each case of the dialect that it is for; a throw is noted, not fatal. */
export async function run(variants) {
  const url = process.argv[2]
  const { cases, nextQuestion, toolResult } = await (await fetch(`${url}/cases`)).json()
  const unsent = []
  for (const [name, { dialect, echo, only }] of Object.entries(variants)) {
    for (const one of cases) {
      if (one.dialect !== dialect || only?.(one) === false) continue
      try {
        await echo({ ...one, nextQuestion, toolResult }, `${url}/${name}/${encodeURIComponent(one.name)}`)
      } catch (error) {
        unsent.push({ dialect, variant: name, case: one.name, why: String(error).split('\n')[0].slice(0, 200) })
      }
    }
  }
  process.stdout.write(JSON.stringify(unsent))
}

/** The tools that calls are made of, as JSON schemas. */
export const schemas = {
  weather: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  clock: { type: 'object', properties: {} },
}
