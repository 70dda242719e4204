// The list of known attacks, sent one after the other before anything is generated.

import { casesOf } from './cases.mjs'
import { Client } from './client.mjs'
import { faultsOf } from './judge.mjs'
import { lastScenariosOf, scenariosOf } from './scenarios.mjs'
import { modes } from './stack.mjs'

/** `exchange(client, plan)` sends; `found(words)` is told of each that is not answered as it should be. Resolves with how many there were. */
export async function runCases(stack, { mode, large, huge, exchange, found }) {
  const { isListed } = modes[mode]
  const context = { model: stack.engine.model, isListed, port: stack.cwm.port }
  const cases = casesOf(context).filter(({ plan }) => huge > 0 || large > 0 || plan.bodyBytes < 1_000_000)
  for (const { name, plan } of cases) {
    const client = new Client(stack.cwm.port)
    const outcome = await exchange(client, plan)
    client.close()
    for (const words of faultsOf(plan, outcome)) found(`listed: ${name}: ${words}`)
  }
  return cases.length + (await runScenarios(stack, scenariosOf(context), found))
}

/** Those that may only come when the honest tenants are done. */
export async function runLastCases(stack, found) {
  return await runScenarios(stack, lastScenariosOf({ model: stack.engine.model }), found)
}

async function runScenarios(stack, scenarios, found) {
  for (const { name, run } of scenarios) {
    const faults = await run(stack).catch((error) => [error.message])
    for (const words of faults) found(`listed: ${name}: ${words}`)
  }
  return scenarios.length
}
