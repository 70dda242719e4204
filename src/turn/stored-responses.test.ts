// Where a stored response leads: its session, and the engine that has it if there are several.

import { describe, expect, it } from 'vitest'
import { aSession } from '../../test/contracts/store/sample-records.ts'
import type { FleetMember } from '../engines/fleet.ts'
import { LiveSession } from '../sessions/live-session.ts'
import { type ResponseSource, responseNeed, StoredResponses } from './stored-responses.ts'

const A = 'http://a.example:8000'
const B = 'http://b.example:8000'
const session = new LiveSession(aSession(), { stored: true })

function responsesOf(engines: readonly string[], stored: Readonly<Record<string, ResponseSource>> = {}) {
  const members = () => engines.map((id) => ({ id }) as FleetMember)
  return new StoredResponses({ byResponse: async (_, id) => stored[id] }, { members })
}

describe('a stored response', () => {
  it('is remembered with its engine if there are several, and without one otherwise', () => {
    expect(responsesOf([A]).storedAt({ id: A })).toBeUndefined()
    expect(responsesOf([A, B]).storedAt({ id: B })).toBe(B)
  })

  it('is needed of the engine that stores it, even before the store has it', async () => {
    const responses = responsesOf([A, B])
    responses.announce({ session, engineId: B }, 'resp-1')

    const need = responseNeed(await responses.require('acme', 'resp-1'))

    expect(need).toEqual({ tenant: 'acme', sessionId: 'session-1', lineage: 'lineage-1', engineId: B })
  })

  it('is needed of the engine of its session if none is remembered', async () => {
    const responses = responsesOf([A, B], { 'resp-1': { session, engineId: undefined } })

    const need = responseNeed(await responses.require('acme', 'resp-1'))

    expect(need).toEqual({ tenant: 'acme', sessionId: 'session-1', lineage: 'lineage-1' })
  })

  it('of an engine that was removed is not found, with the way out', async () => {
    const responses = responsesOf([A], { 'resp-1': { session, engineId: B } })

    await expect(responses.require('acme', 'resp-1')).rejects.toMatchObject({
      code: 'RESPONSE_NOT_FOUND',
      message: expect.stringMatching(/engine that stored it was removed.*`input`/),
    })
  })

  it('that nobody stored is not found in the words of vLLM', async () => {
    await expect(responsesOf([A, B]).require('acme', 'resp-9')).rejects.toMatchObject({
      code: 'RESPONSE_NOT_FOUND',
      message: "Response with id 'resp-9' not found.",
    })
  })
})
