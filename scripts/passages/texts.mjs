// Texts to search in, with facts hidden in them, and questions about the facts. Deterministic for a seed.
//
// Every text is made of the same vocabulary, so that no word gives a text away. A fact is a sentence about a thing at a place. Many texts have
// facts about the same thing, and many about the same place, but only one about both. A question asks about the fact in other words: another
// order, other forms of the words, and in half of the cases a synonym that does not occur in the fact.

import { randomFrom } from '../random.mjs'

const FIRST =
  'Ines Tomas Maren Idris Greta Pavel Noor Silas Wanda Hugo Leila Anton Carys Edwin Farah Jonas Kirsti Mateo Oona Rufus'.split(
    ' ',
  )
const LAST =
  'Duarte Holm Whitaker Okafor Lindqvist Marchetti Sorensen Baptiste Kowalski Pemberton Achterberg Ferreira Galloway Ivanov Quill'.split(
    ' ',
  )
const PLACES =
  'Marlow Ashford Penrith Kestrel Dunmore Halden Ravenna Orford Lisle Tarrant Wexley Brandon Corvo Elmstead Farley Grimsay Hexham Ibsley Jarrow Kelso Lorne Mirefield Norbury Ottery Polden Quarrington Rothley Selby Tilbury Upwell'.split(
    ' ',
  )
const KINDS = ['station', 'harbor', 'library', 'mill', 'observatory', 'school']
const THINGS =
  'bell clock boiler lantern archive piano staircase telescope mural greenhouse chimney bridge turbine vault fountain organ gate kiln tapestry windmill'.split(
    ' ',
  )
/** Past, base, -ing, and a synonym. */
const DEEDS = [
  ['repaired', 'repair', 'repairing', 'mend'],
  ['painted', 'paint', 'painting', 'decorate'],
  ['inspected', 'inspect', 'inspecting', 'examine'],
  ['donated', 'donate', 'donating', 'give'],
  ['moved', 'move', 'moving', 'relocate'],
  ['insured', 'insure', 'insuring', 'cover'],
  ['cleaned', 'clean', 'cleaning', 'wash'],
  ['photographed', 'photograph', 'photographing', 'capture'],
  ['measured', 'measure', 'measuring', 'survey'],
  ['replaced', 'replace', 'replacing', 'exchange'],
]
const REASONS = [
  'the winter floods had damaged it',
  'the council had asked for it',
  'the old insurance had expired',
  'a school class wanted to see it',
  'the roof above it leaked',
  'its owner had retired',
  'the anniversary was near',
  'a visitor had complained',
]
const FUNCTION =
  'the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one you were all her she there would their we him been has when who will no more if out so up said what its about than into them can only other time new some could these two may first then do any like my now over such our man me even most made after also did many off before must well back through years much where your way down should because long each just state those people too mr how little good world make very year still see own work men day get here old life both between being under three never know same last another while us might great go come since against right came take used himself few house use place during high without again home around small however found mrs part school thought went say general once upon war every left got united number hand course water until always away public something fact less though far put head think called set almost enough end took government night yet system better four nothing told eyes city going president why days present point didn look find asked second group later next room social business knew program give half side face toward white five let young form given per order large several national important rather big among often early John case things feel become best need next'.split(
    ' ',
  )
const SYLLABLES =
  'ba be bi bo da de di do fa fe ga go ka ke ki ko la le li lo ma me mi mo na ne ni no pa pe pi po ra re ri ro sa se si so ta te ti to va ve vi wa zu'.split(
    ' ',
  )

/** Rare words, made of syllables: a large vocabulary makes an index as large as that of real text. */
function rareWords(random, count) {
  const pick = (list) => list[Math.floor(random() * list.length)]
  return Array.from({ length: count }, () =>
    Array.from({ length: 2 + Math.floor(random() * 3) }, () => pick(SYLLABLES)).join(''),
  )
}

/**
 * @param count number of texts; @param characters of each; @param facts in each
 * @returns texts, and one case for each fact: the question, the index of its text, and the fact
 */
export function textsWithFacts({ seed = 1, count = 200, characters = 20_000, facts = 4, vocabulary = 20_000 } = {}) {
  const random = randomFrom(seed)
  const pick = (list) => list[Math.floor(random() * list.length)]
  const rare = rareWords(random, vocabulary)
  // The nth word is as frequent as 1/n, as in any language.
  const frequent = (list) => list[Math.floor((list.length + 1) ** random()) - 1]
  const word = () => {
    const r = random()
    if (r < 0.5) return frequent(FUNCTION)
    if (r < 0.51) return pick([...THINGS, ...PLACES, ...KINDS, ...FIRST, ...DEEDS.flat()])
    return frequent(rare)
  }
  const sentence = () => {
    const words = Array.from({ length: 6 + Math.floor(random() * 14) }, word).join(' ')
    return `${words[0].toUpperCase()}${words.slice(1)}.`
  }
  const used = new Set()
  const cases = []
  const texts = Array.from({ length: count }, (_, text) => {
    const hidden = Array.from({ length: facts }, () => {
      const fact = newFact(pick, random, used)
      cases.push({ text, ...fact })
      return { sentence: fact.fact, at: Math.floor(random() * characters) }
    }).sort((a, b) => a.at - b.at)
    let written = ''
    while (written.length < characters || hidden.length > 0) {
      const next = hidden[0] !== undefined && written.length >= hidden[0].at ? hidden.shift().sentence : sentence()
      written += `${next}${random() < 0.15 ? '\n\n' : ' '}`
    }
    return written
  })
  return { texts, cases }
}

function newFact(pick, random, used) {
  let thing
  let place
  let kind
  do {
    thing = pick(THINGS)
    place = pick(PLACES)
    kind = pick(KINDS)
  } while (used.has(`${thing} ${place}`))
  used.add(`${thing} ${place}`)
  const who = `${pick(FIRST)} ${pick(LAST)}`
  const [past, base, doing, synonym] = pick(DEEDS)
  const reason = pick(REASONS)
  const fact = pick([
    `${who} ${past} the ${thing} of ${place} ${kind}, as ${reason}.`,
    `The ${thing} at the ${kind} in ${place} was ${past} by ${who} because ${reason}.`,
    `Since ${reason}, ${who} spent a summer ${doing} the ${thing} which stands in ${place}, near the ${kind}.`,
    `At ${place}'s ${kind}, people remember how ${who} had the ${thing} ${past} when ${reason}.`,
  ])
  const verb = random() < 0.5 ? base : synonym
  const question = pick([
    `Who did ${verb} the ${place} ${kind}'s ${thing}?`,
    `Why was it necessary to ${verb} the ${thing} in ${place}?`,
    `I would like to know the name of the person that had to ${verb} ${thing}s at ${place}.`,
    `In ${place}, for what reason did somebody ${verb} a ${thing}?`,
    `Tell me about the ${thing} of ${place}: who wanted to ${verb} it, and why?`,
  ])
  return { question, fact }
}
