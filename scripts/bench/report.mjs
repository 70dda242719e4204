// A run as JSON: all figures by scenario and target, and how busy the mock upstream and the load client were.

import { isTimed } from './scenarios.mjs'

const bases = ['direct', 'bare', 'parse']

function figuresOf(results, scenario, target) {
  const to = (field) =>
    Object.fromEntries(
      bases.flatMap((base) => {
        const ratio = results.ratio(scenario, target, base, field)
        return ratio === undefined ? [] : [[base, ratio]]
      }),
    )
  return { ...results.figures(scenario, target), rateTo: to('perSecond'), cpuTo: to('cpu') }
}

/**
 * The fastest target and the fastest proxy of a scenario, with the core shares that the mock upstream and the load client had during it.
 */
export function fastestOf(results, scenario, targets) {
  const shares = (name) => {
    const { upstreamShare, loadShare } = results.figures(scenario, name)
    return { target: name, upstreamShare, loadShare }
  }
  const [all, proxy] = [targets, targets.filter(({ start }) => start !== undefined)].map((some) =>
    results.fastest(scenario, some),
  )
  return { all: all && shares(all), proxy: proxy && shares(proxy) }
}

export function reportOf({ results, judged, machine, scenarios, targets, flushes }) {
  const byScenario = (read) => Object.fromEntries(scenarios.filter(isTimed).map(({ name }) => [name, read(name)]))
  return {
    machine,
    results: byScenario((scenario) =>
      Object.fromEntries(targets.map(({ name }) => [name, figuresOf(results, scenario, name)])),
    ),
    fastest: byScenario((scenario) => fastestOf(results, scenario, targets)),
    memory: results.memory,
    disk: results.disk,
    aims: judged,
    flushes,
    failed: results.failed,
  }
}
