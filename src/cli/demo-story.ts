// The text of the demo: a station's log of a few thousand tokens, with one fact that the demo asks for later.

const weather = [
  'fog until noon',
  'a clear cold morning',
  'rain from the west',
  'high thin cloud',
  'wind that shook the shutters',
]
const work = [
  'the dome motor was greased and turned twice',
  'plates from the north field were dried and boxed',
  'the clock was set against the radio signal',
  'two panes on the east side were sealed',
  'the generator ran four hours to fill the cells',
]
const people = ['Imre', 'Salma', 'Teodor', 'Wen', 'Odile']
const remarks = [
  'nothing was seen that the catalogue does not have',
  'the guide star drifted by a little over an arc second',
  'supper was late and nobody minded',
  'the valley lost its lights for an hour, which helped',
  'a hare has moved in under the steps',
]

/** The fact that the demo asks for after the restart. It is in the middle of the log. */
export const fact = 'The spare key to the observatory hangs behind the blue barometer.'
export const question = 'Where does the spare key to the observatory hang?'

/** A log of `days` entries, about 45 tokens each. Deterministic. */
export function stationLog(days: number): string {
  const entries: string[] = []
  for (let day = 1; day <= days; day++) {
    const pick = (list: readonly string[], step: number) => list[(day * step) % list.length] ?? ''
    entries.push(
      `Day ${day}: ${pick(weather, 1)}, pressure ${960 + ((day * 7) % 60)} hPa. ${pick(people, 2)} notes that ${pick(work, 3)}. ` +
        `In the evening ${pick(people, 3)} writes that ${pick(remarks, 4)}.`,
    )
    if (day === Math.floor(days / 2)) entries.push(fact)
  }
  return entries.join('\n')
}
