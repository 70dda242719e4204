// A target that never answers must not block the run.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { expect, it, onTestFinished } from 'vitest'
import { jsonAnswer } from './answers.mjs'
import { Client } from './client.mjs'
import { scenarios } from './scenarios.mjs'

it('fails an overdue answer, and can be stopped', async () => {
  let requests = 0
  const server = createServer((request, response) => {
    request.resume()
    if (requests++ === 0) response.end(jsonAnswer)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const errors = []
  const tally = { count() {}, add() {}, fail: (error) => errors.push(error) }
  const target = { url: `http://127.0.0.1:${server.address().port}` }
  const client = new Client({ target, scenario: scenarios[0], run: 1, answerMs: 50 }, 0, tally)
  await client.deliver()

  client.start()
  await client.stop()

  expect(errors).toEqual(['no answer within 50 ms'])
})
