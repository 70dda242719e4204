// Sends the list of known attacks, one after another, before the generated ones.

import { casesOf } from './cases.mjs'
import { Client } from './client.mjs'
import { faultsOf } from './judge.mjs'
import { lastScenariosOf, scenariosOf } from './scenarios.mjs'
import { modes } from './stack.mjs'

/** `exchange(client, plan)` sends a plan, and `found(text)` is called for each wrong response. Resolves with the number of plans. */
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

/** Runs the scenarios that must wait until the honest tenants are done. */
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
