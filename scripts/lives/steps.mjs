// Random steps of a life, and the actions that they become. A step is drawn without knowledge of the world, so that a seed and a number of
// steps repeat a life. An action is complete in itself, so that a life can be shortened without changing what is left of it.

import fc from 'fast-check'
import { WORDS } from '../words.mjs'
import { MAX_MESSAGES } from './world.mjs'

const SESSIONS = Array.from({ length: 6 }, (_, n) => `s${n}`)
const WINDOWS = Array.from({ length: 14 }, (_, n) => `w${n}`)
const SYSTEMS = ['You keep the log of a harbor.', 'You are a guide to the mills on the river.']
const PER_MILLE = 1000

const number = fc.nat({ max: PER_MILLE - 1 })
const chanceOf = (many) => number.map((drawn) => drawn < many)

/** One step: what to do, and the numbers that choose where. `isOdd`: a name that does not exist, or one that is taken. */
export const step = fc.noBias(
  fc.record({
    act: fc.oneof(
      { weight: 60, arbitrary: fc.constant('turn') },
      { weight: 7, arbitrary: fc.constant('freeze') },
      { weight: 8, arbitrary: fc.constant('thaw') },
      { weight: 6, arbitrary: fc.constant('clone') },
      { weight: 4, arbitrary: fc.constant('make') },
      { weight: 9, arbitrary: fc.constant('delete') },
      { weight: 5, arbitrary: fc.constant('end') },
      { weight: 1, arbitrary: fc.constant('restart') },
    ),
    style: fc.constantFrom('new', 'own', 'whole'),
    session: number,
    window: number,
    place: number,
    words: number,
    thaws: chanceOf(150),
    freezes: chanceOf(150),
    hasSystem: chanceOf(300),
    isForeign: chanceOf(30),
    isOdd: chanceOf(60),
  }),
)

/** The first `count` steps of a seed. */
export const stepsOf = (seed, count) => fc.sample(step, { seed, numRuns: count })

const pick = (list, drawn) => list[Math.floor((drawn * list.length) / PER_MILLE)]

/** The question of step `n`: no two are equal. */
function textOf(n, { words, place }) {
  const count = 4 + Math.floor(words / 20)
  return `Number ${n}: ${Array.from({ length: count }, (_, i) => WORDS[(place + n + i * 7 + Math.floor(i / 5) * i) % WORDS.length]).join(' ')}.`
}

/** The action of step `n` in this world. Undefined if the step makes no sense in this world. */
export function actionOf(world, drawn, n) {
  const { act, isOdd } = drawn
  if (act === 'restart') return { act }
  const window = existing(world, drawn)
  if (act === 'turn') return turnOf(world, drawn, n)
  if (act === 'freeze') return freezeOf(world, drawn)
  if (act === 'end') return { act, session: knownSession(world, drawn) }
  if (act === 'thaw') return { act, session: pick(SESSIONS, drawn.session), window }
  if (act === 'delete') return { act, window }
  if (act === 'make') return { act, window: freeName(world, drawn), messages: contentOf(n, drawn) }
  const places = world.placesOf(window)
  const at = isOdd ? drawn.place % 7 : pick(places, drawn.place)
  return { act, source: window, window: freeName(world, drawn), ...(at === undefined || at === 0 ? {} : { at }) }
}

function turnOf(world, drawn, n) {
  const name = pick(SESSIONS, drawn.session)
  const session = world.sessionOf(name)
  if ((session.base?.messages.length ?? 0) + session.own.length > MAX_MESSAGES) return { act: 'end', session: name }
  return {
    ...{ act: 'turn', session: name, style: drawn.style, question: textOf(n, drawn) },
    ...(drawn.thaws ? { thaw: existing(world, drawn) } : {}),
    ...(drawn.freezes ? { freeze: freeName(world, drawn) } : {}),
    ...(drawn.hasSystem ? { system: pick(SYSTEMS, drawn.words), repeatsSystem: true } : {}),
    ...(drawn.isForeign ? { isForeign: true } : {}),
  }
}

function freezeOf(world, drawn) {
  const session = knownSession(world, drawn)
  const { last = [] } = world.sessionOf(session)
  return last.length > MAX_MESSAGES ? undefined : { act: 'freeze', session, window: freeName(world, drawn) }
}

function contentOf(n, drawn) {
  const text = textOf(n, drawn)
  const document = [{ role: drawn.hasSystem ? 'system' : 'user', content: text }]
  if (drawn.style === 'new') return document
  const exchange = [
    { role: 'user', content: `${text} What is it?` },
    { role: 'assistant', content: `It is ${n}.` },
  ]
  return drawn.hasSystem ? [...document, ...exchange] : exchange
}

/** A window that exists, or with `isOdd` any name. */
const existing = ({ windows }, { window, isOdd }) =>
  (isOdd ? undefined : pick([...windows.keys()], window)) ?? pick(WINDOWS, window)

/** A name that is free, or with `isOdd` any name. */
const freeName = ({ windows }, { place, isOdd }) =>
  (isOdd
    ? undefined
    : pick(
        WINDOWS.filter((name) => !windows.has(name)),
        place,
      )) ?? pick(WINDOWS, place)

const knownSession = ({ sessions }, { session, isOdd }) =>
  (isOdd ? undefined : pick([...sessions.keys()], session)) ?? pick(SESSIONS, session)
