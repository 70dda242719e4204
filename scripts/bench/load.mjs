// The clients, a process of their own: closed loops, one per connection, each with a conversation of its own. The parent sends one job at a
// time over IPC and hears `warm`, `measured`, and the result.

import { Agent, request } from 'node:http'
import { jsonAnswer, STREAM_EVENTS, streamAnswer } from './answers.mjs'
import { conversationOf } from './conversation.mjs'
import { isStream, scenarios } from './scenarios.mjs'
import { percentile } from './stats.mjs'

/** As openai's SDK sends them. */
const SDK_HEADERS = {
  accept: 'application/json',
  'user-agent': 'OpenAI/JS 6.1.0',
  'x-stainless-lang': 'js',
  'x-stainless-package-version': '6.1.0',
  'x-stainless-os': 'Linux',
  'x-stainless-arch': 'x64',
  'x-stainless-runtime': 'node',
  'x-stainless-retry-count': '0',
  authorization: 'Bearer sk-bench',
  'content-type': 'application/json',
}

class Job {
  #scenario
  #target
  #agent = new Agent({ keepAlive: true, maxSockets: 1_000 })
  #isOver = false
  #measures = false
  #latencies = []
  #firstBytes = []
  #events = 0
  #done = 0
  #failures = 0
  #isNoticed = false
  #run

  constructor({ scenario, target, run }) {
    this.#run = run
    this.#scenario = scenarios.find(({ name }) => name === scenario)
    this.#target = target
  }

  /** Warms up until every connection has had `warm` answers, or for `warmMs`; then measures for `ms`. */
  async run({ warm, warmMs, ms }) {
    const clients = Array.from({ length: this.#scenario.connections }, (_, connection) => this.#client(connection))
    const until = performance.now() + warmMs
    while (this.#done < warm && performance.now() < until) await pause(20)
    await tell({ kind: 'warm' })
    this.#measures = true
    const [cpuBefore, start] = [process.cpuUsage(), performance.now()]
    await pause(ms)
    const seconds = (performance.now() - start) / 1000
    this.#measures = false
    await tell({ kind: 'measured' })
    const { user, system } = process.cpuUsage(cpuBefore)
    this.#isOver = true
    await Promise.all(clients)
    this.#agent.destroy()
    return {
      requests: this.#latencies.length,
      requestsPerSecond: this.#latencies.length / seconds,
      eventsPerSecond: this.#events / seconds,
      events: this.#events,
      p50: percentile(this.#latencies, 0.5),
      p99: percentile(this.#latencies, 0.99),
      ttft50: percentile(this.#firstBytes, 0.5),
      ttft99: percentile(this.#firstBytes, 0.99),
      failures: this.#failures,
      clientShare: (user + system) / 1e6 / seconds,
    }
  }

  async #client(connection) {
    const { isNamed, isCwm } = this.#target
    const conversation = conversationOf(this.#scenario, connection, this.#run)
    const headers = isNamed ? { ...SDK_HEADERS, 'x-cwm-session': `bench-${connection}` } : SDK_HEADERS
    const begun = await this.#ask(conversation.first, headers)
    while (!this.#isOver) {
      const { session } = await this.#ask(conversation.next(), headers)
      // A turn that is not recognised would be another thing to measure.
      if (isCwm && session !== begun.session) this.#fail(`session ${session} instead of ${begun.session}`)
    }
  }

  #ask(body, headers) {
    const streams = isStream(this.#scenario)
    const wanted = streams ? streamAnswer.length : jsonAnswer.length
    return new Promise((resolve) => {
      const start = performance.now()
      const sent = request(
        {
          ...{ host: '127.0.0.1', port: this.#target.port, method: 'POST', path: '/v1/chat/completions' },
          ...{ agent: this.#agent, headers: { ...headers, 'content-length': body.length } },
        },
        (answer) => {
          let bytes = 0
          let firstByte
          answer.on('data', (chunk) => {
            firstByte ??= performance.now()
            bytes += chunk.length
          })
          answer.on('end', () => {
            if (answer.statusCode !== 200 || bytes !== wanted) this.#fail(`status ${answer.statusCode}, ${bytes} bytes`)
            this.#done++
            if (this.#measures) {
              const end = performance.now()
              this.#latencies.push(end - start)
              this.#firstBytes.push((firstByte ?? end) - start)
              if (streams) this.#events += STREAM_EVENTS
            }
            resolve({ session: answer.headers['x-cwm-session'] })
          })
          answer.on('error', (error) => {
            this.#fail(error.message)
            resolve({})
          })
        },
      )
      sent.on('error', (error) => {
        this.#fail(error.message)
        setTimeout(() => resolve({}), 10)
      })
      sent.end(body)
    })
  }

  #fail(why) {
    this.#failures++
    if (this.#isNoticed) return
    this.#isNoticed = true
    console.error(`  ${this.#target.name}, ${this.#scenario.name}: ${why}`)
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const tell = (message) => new Promise((resolve) => process.send(message, resolve))

process.on('message', async (job) => {
  await tell({ kind: 'result', ...(await new Job(job).run(job)) })
})
process.on('disconnect', () => process.exit())
