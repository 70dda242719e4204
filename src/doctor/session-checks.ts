// Checks through the address that cwm was given: a router, or each engine of a list. Do the turns of a session meet the same KV, and do
// sessions spread?

import { ranked } from '../engines/rendezvous.ts'
import type { Check } from './check.ts'
import { type Facts, randomKey } from './facts.ts'
import { type Finding, failed, ok, skipped, warning } from './finding.ts'
import { isFleet } from './of-engines.ts'
import { seenRouter } from './router.ts'
import { routerSalts } from './router-salts.ts'
import { probeSessions, type SessionProbe, sessionsByServer } from './session-probe.ts'

/** Enough that each of two engines with equal weights gets some. */
const KEYS = 64

const SET_AFFINITY =
  'set affinity to the router (vllm-router, llm-d, dynamo, aibrix, or header:NAME): without a key, a router sends all traffic to one engine, or the turns of one session to several'
const KEY_IS_IGNORED =
  'configure the router to hash the header that affinity sends: vllm-router --policy consistent_hash; production stack --routing-logic session --session-key NAME; nginx hash $http_NAME consistent; Caddy lb_policy header NAME (docs/fleet.md)'
const NOT_DISTINGUISHABLE =
  'either the engine caches nothing itself (see “Prefix caching is on” above), or another engine answers each turn: with a router, set affinity; without one, list the engines in upstream'
const LIST_THEM =
  'several engines seem to share this address: list each of them in upstream, or use a DNS name (dns+http://NAME:PORT)'

export const sessionChecks: readonly Check[] = [
  {
    id: 'router',
    title: 'The router keeps sessions together',
    proves: 'the router at the address sends the turns of a session to one engine, and notices a dead engine soon',
    applies: isBehindRouter,
    run: judgeRouter,
  },
  routerSalts(isBehindRouter),
  {
    id: 'sessions',
    scope: 'each',
    title: 'Follow-up turns find their KV',
    proves: 'the same engine answers both turns of a session, for several sessions',
    applies: maySpread,
    run: async (facts) => {
      const probe = await probeSessions(facts)
      return probe === undefined ? skipped('the engine does not report cached tokens') : judgeSessions(probe, facts)
    },
  },
  {
    id: 'spread',
    title: 'Sessions spread',
    proves: 'new sessions reach more than one engine',
    applies: maySpread,
    run: (facts) => (isFleet(facts) ? judgeWeights(facts) : judgeSpread(facts)),
  },
]

const hasAffinity = ({ parts }: Facts): boolean => parts.affinity !== undefined

async function isBehindRouter(facts: Facts): Promise<boolean> {
  return !isFleet(facts) && (hasAffinity(facts) || (await seenRouter(facts)) !== undefined)
}

/** Whether several engines may answer: there is a list, an affinity setting, a recognized router, a second LMCache server, or a cold follow-up. */
async function maySpread(facts: Facts): Promise<boolean> {
  if (isFleet(facts) || hasAffinity(facts) || (await seenRouter(facts)) !== undefined) return true
  if ((await serversWithEngine(facts).catch(() => 0)) > 1) return true
  const caches = (await facts.cacheSetting('enable_prefix_caching').catch(() => undefined)) === 'True'
  return caches && (await facts.probe()).second === 0
}

async function serversWithEngine(facts: Facts): Promise<number> {
  const [link, { engineName }] = [await facts.link(), await facts.model()]
  const has = ({ engines }: { readonly engines: readonly { readonly engineName: string }[] }) =>
    engines.some((engine) => engine.engineName === engineName)
  return link?.topology.servers.filter(has).length ?? 0
}

async function judgeRouter(facts: Facts): Promise<Finding> {
  const router = await seenRouter(facts)
  const setting = facts.parts.affinity?.setting
  if (router === undefined) return skipped(`affinity is ${setting}; nothing shows that the address is a router`)
  const { name, workers, unhealthy = 0, affinity, advice } = router
  const ids = await howIdsComeBack(facts)
  const seen = [
    name,
    ...(workers === undefined ? [] : [`${workers} engines behind it`]),
    ...(unhealthy === 0 ? [] : [`${unhealthy} of them unhealthy`]),
    ...(ids === undefined ? [] : [ids.seen]),
    `affinity is ${setting ?? 'none'}`,
  ].join(', ')
  if (setting === undefined) return warning(seen, `set affinity: ${affinity}; ${advice}`)
  if (unhealthy > 0 || workers === 0)
    return warning(seen, `find out why the router has unhealthy engines, or none; ${advice}`)
  if (ids !== undefined) return warning(seen, `${ids.remedy}; ${advice}`)
  return { ...ok(seen), remedy: advice }
}

/** Undefined if the router forwards /tokenize. Without it, windows cannot keep KV. */
async function howIdsComeBack(facts: Facts): Promise<{ readonly seen: string; readonly remedy: string } | undefined> {
  const { id: model } = await facts.model()
  const messages = [{ role: 'user', content: 'x' }]
  const { status } = await facts.ask('POST', '/tokenize', { model, messages })
  if (status === 200) return undefined
  const seen = `POST /tokenize answers ${status}, so windows keep only their text`
  // Seen with vllm-router 0.1.17: it forwards no Authorization on the paths that it does not know.
  if (status === 401) return { seen, remedy: "start the router with the engines' key (vllm-router --api-key)" }
  return { seen, remedy: 'let the router forward POST /tokenize' }
}

function judgeSessions(probe: SessionProbe, facts: Facts): Finding {
  const { sessions, met, loaded, cold, isDistinguishable } = probe
  const seen = [
    `second turns of ${sessions} sessions: ${met} found their KV`,
    ...(loaded > 0 ? [`${loaded} loaded it from LMCache on another engine`] : []),
    ...(cold > 0 ? [`${cold} were cold`] : []),
    ...(isDistinguishable || met === 0 ? [] : ["but found no more than LMCache's whole chunks"]),
  ].join(', ')
  if (met === sessions && isDistinguishable) return ok(seen)
  if (met === sessions) return warning(seen, NOT_DISTINGUISHABLE)
  if (isFleet(facts)) return failed(seen, LIST_THEM)
  return hasAffinity(facts) ? failed(seen, KEY_IS_IGNORED) : warning(seen, SET_AFFINITY)
}

async function judgeSpread(facts: Facts): Promise<Finding> {
  const byServer = await sessionsByServer(facts)
  if (byServer === undefined)
    return skipped("no coordinator: without LMCache's directory, nothing shows which engine answered")
  const known = await serversWithEngine(facts)
  const seen = [...byServer].map(([server, count]) => `${count} at ${server}`).join(', ')
  if (known < 2)
    return skipped(
      `LMCache shows one server with engines (${seen || 'no session'}), so nothing shows which engine answered`,
    )
  if (byServer.size === 0) return skipped('no LMCache server has shown a session in memory')
  if (byServer.size > 1) return ok(`sessions by LMCache server: ${seen}, of ${known} servers with an engine`)
  const evidence = `all sessions went to one of ${known} engines: ${seen}`
  if (hasAffinity(facts)) return warning(evidence, KEY_IS_IGNORED)
  if ((await seenRouter(facts)) !== undefined) return warning(evidence, SET_AFFINITY)
  return skipped(`${evidence}; no router was recognized, so the address may be that engine's own`)
}

/** Places random keys as cwm places those of new sessions. */
function judgeWeights({ all }: Facts): Finding {
  const candidates = all.map(({ engine }) => ({ id: engine.engine.id, name: engine.name, weight: engine.weight }))
  const counts = new Map(candidates.map(({ name }) => [name, 0]))
  for (let done = 0; done < KEYS; done += 1) {
    const [first] = ranked(randomKey(), candidates)
    if (first !== undefined) counts.set(first.name, (counts.get(first.name) ?? 0) + 1)
  }
  const seen = `of ${KEYS} new sessions: ${[...counts].map(([name, count]) => `${count} at ${name}`).join(', ')}`
  if ([...counts.values()].filter((count) => count > 0).length > 1) return ok(seen)
  return warning(seen, 'give at least two engines in upstream a weight above 0, and resume drained engines')
}
