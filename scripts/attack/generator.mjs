// Generates the attacks of a seed. Each depends on its number only, so that a single one can be repeated.

import { Draw } from '../random.mjs'
import { bodyOf, goodMembers, PATHS } from './grammar.mjs'
import { drawIdentity } from './identities.mjs'
import { breakBody, encodeBody, mutateMembers } from './mutate-body.mjs'
import { changeMethod, changeTarget, HEADER_CHANGES, upgrade } from './mutate-request.mjs'
import { WIRE_CHANGES } from './mutate-wire.mjs'
import { newPlan } from './plan.mjs'

/** Distinct for all seeds and numbers of a run. */
const seedOf = (seed, n) => Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(n + 1, 0xc2b2ae35)

const DIALECTS = Object.keys(PATHS)
const choose = (draw, list) => draw.weighted(list)

/**
 * Generates attack number `n`. `context`: `{ seed, model, isListed, stolen, large, huge }`: the engine's model, whether the settings
 * list tenants, a stolen salt, and the shares of large and huge bodies.
 */
export function attackOf(n, context) {
  const draw = new Draw(seedOf(context.seed, n))
  const identity = drawIdentity(draw, context.isListed)
  const who = { id: `a${n}`, owner: identity.owner, session: undefined }
  const dialect = draw.pick(DIALECTS)
  const made = mutateMembers(goodMembers(dialect, who, context.model, draw), draw, context)
  const isBroken = draw.chance(0.06)
  const whole = bodyOf(made.members, draw)
  const plan = newPlan(who, { target: PATHS[dialect], body: isBroken ? breakBody(whole, draw) : whole, salted: true })
  plan.headers.push(['Content-Type', 'application/json'], ...identity.headers)
  plan.notes.push(dialect, ...made.names, ...(isBroken ? ['broken body'] : []))
  const isBad = made.refused || isBroken
  const coded = draw.chance(0.08) ? code(plan, draw) : false
  around(plan, draw)
  // An invalid identity or body must be rejected only on paths that check it.
  if (plan.salted && (isBad || coded)) plan.refused = true
  if (identity.refused && asksWhoItIs(plan)) plan.refused = true
  addTwin(plan)
  return plan
}

function code(plan, draw) {
  const { coding, body, refused, bodyBytes } = encodeBody(plan.body, draw)
  plan.body = body
  plan.bodyBytes = bodyBytes
  plan.headers.push(['Content-Encoding', coding])
  plan.notes.push(`coding ${coding}`)
  return refused
}

function around(plan, draw) {
  const apply = (change, name) => {
    change(plan, draw)
    plan.notes.push(change.name || name)
  }
  if (draw.chance(0.12)) apply(changeTarget)
  if (draw.chance(0.05)) apply(changeMethod)
  for (let left = draw.below(3); left > 0; left--) apply(choose(draw, HEADER_CHANGES), 'header')
  if (draw.chance(0.06)) apply(upgrade)
  if (draw.chance(0.3)) apply(choose(draw, WIRE_CHANGES), 'wire')
}

/** Preflights, pages, and health endpoints need no key. */
const asksWhoItIs = ({ method, target }) =>
  method !== 'OPTIONS' && Object.values(PATHS).some((path) => target.endsWith(path))

/** Sends the request twice on one connection: two requests, two responses, in order. */
function addTwin(plan) {
  if (!plan.isTwice || plan.tail !== undefined || plan.refused || plan.headers.some(([name]) => name === 'Connection'))
    return
  plan.answers = 2
  plan.twin = { ...plan, who: { ...plan.who, id: `${plan.who.id}-2` } }
}
