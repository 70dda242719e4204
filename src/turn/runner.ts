// Runs turns: each is checked, prepared, dispatched once, and recorded. Knows nothing about HTTP: the caller has read the request, and
// receives the answer.

import { CwmError, clientGone, isStoreUnavailable } from '../base/errors.ts'
import type { JsonBodies } from '../base/json-bodies.ts'
import type { Metrics } from '../base/metrics.ts'
import { inPhase } from '../base/request-trace.ts'
import { type Caller, requireModel } from '../base/tenants.ts'
import { messageFields } from '../dialects/index.ts'
import { RawObject } from '../dialects/raw-json.ts'
import { checkControl } from '../identity/control-headers.ts'
import { overflowOf } from '../near-limit/overflow.ts'
import type { AutoThaw } from '../windows/auto-thaw.ts'
import type { NameReservation } from '../windows/name-reservations.ts'
import { setEngineSession } from './engine-session.ts'
import { checkFields } from './guard.ts'
import { type RunningParts, RunningTurn } from './running-turn.ts'
import { isDegraded, prepareTurn, type Turn, type TurnParts, turnWithoutStore } from './turn.ts'
import type { TurnInput, TurnSink } from './turn-input.ts'
import type { TurnRequest } from './turn-request.ts'

export interface RunnerParts extends TurnParts, RunningParts {
  readonly autoThaw: Pick<AutoThaw, 'onReturn'>
  readonly json: Pick<JsonBodies, 'checkMessages'>
  readonly metrics: Metrics
}

export class TurnRunner {
  readonly #parts: RunnerParts

  constructor(parts: RunnerParts) {
    this.#parts = parts
  }

  /**
   * Resolves once the turn is dispatched; its answer or failure goes to the sink. Throws the reason if the request is rejected, what windows,
   * store and rate limit throw, `SESSION_ENDED`, and `CLIENT_GONE` if the scope closes first. Nothing is dispatched or held then.
   */
  async run(caller: Caller, input: TurnInput, sink: TurnSink): Promise<RunningTurn> {
    const { autoThaw, sessions, windows, freezeSlots } = this.#parts
    const request = this.#check(caller, input)
    const { freeze } = input.control
    if (freeze !== undefined) freezeSlots.checkRoom(caller.sharer)
    const reservation = freeze === undefined ? undefined : await windows.reserve(caller.tenant, freeze)
    try {
      let turn = await prepareTurn(this.#parts, request)
      this.#hold(turn, input, sink)
      const back = turn.restored === undefined ? autoThaw.onReturn(turn.session, caller) : undefined
      if (back !== undefined)
        await inPhase(input.scope.trace, 'prefetch', () => Promise.race([back, input.scope.whenGone()]))
      // Awaited only if it must be: nothing may come between the last check and the dispatch.
      const allowed = sessions.mayDispatch(turn.session, turn.sent.lineage)
      const checked =
        typeof allowed === 'boolean'
          ? allowed
          : await allowed.catch((thrown: unknown) => this.#continueCold(thrown, request, turn, sink))
      if (typeof checked !== 'boolean') turn = checked
      if (checked === false || turn.session.ended) throw sessionEnded()
      if (input.scope.isGone) throw clientGone('its request was dispatched')
      return this.#dispatch(caller, turn, input, reservation, sink)
    } catch (error) {
      reservation?.release()
      throw error
    }
  }

  /** Checks everything that needs no lookup. */
  #check(caller: Caller, input: TurnInput): TurnRequest {
    const { json, rules, control, scope } = input
    const { apiKey, actor, policy } = caller
    requireModel(policy, json.model)
    this.#parts.json.checkMessages(json, messageFields)
    const raw = new RawObject(input.bytes)
    checkFields(raw, json, rules, policy.allowedFields)
    const previousResponse = rules.stored?.continued(json)
    checkControl(control, rules, previousResponse !== undefined)
    // A thaw and a count call the engine before the dispatch. They are made for this client only, so they end with it.
    const overflow = overflowOf(caller, control)
    const calls = control.window !== undefined || overflow !== 'pass'
    const call = calls ? { apiKey, actor, signal: scope.signal } : { apiKey, actor }
    const { headers, held, room, charge } = input
    return {
      caller,
      control,
      overflow,
      rules,
      headers,
      raw,
      json,
      held,
      room,
      previousResponse,
      call,
      charge,
      trace: scope.trace,
    }
  }

  /**
   * The turn without the store, which did not answer the last check: its read had become too old while the turn waited for something else.
   * Throws `thrown` if the turn must not continue, because its session is based on a window.
   */
  async #continueCold(thrown: unknown, request: TurnRequest, turn: Turn, sink: TurnSink): Promise<Turn> {
    if (!isStoreUnavailable(thrown) || turn.base !== undefined) throw thrown
    const cold = await turnWithoutStore(this.#parts, request, turn)
    if (!isDegraded(turn)) this.#parts.metrics.degradedTurns.inc()
    sink.found(cold)
    return cold
  }

  /** Keeps its session in memory while the turn runs. */
  #hold(turn: Turn, { scope }: TurnInput, sink: TurnSink): void {
    const { sessions, metrics } = this.#parts
    scope.onClose(() => sessions.release(turn.session))
    metrics.sessions.inc(turn.origin.found)
    if (isDegraded(turn)) metrics.degradedTurns.inc()
    sink.found(turn)
  }

  #dispatch(
    caller: Caller,
    turn: Turn,
    { rules, scope, charge, method, path, outgoing }: TurnInput,
    reservation: NameReservation | undefined,
    sink: TurnSink,
  ): RunningTurn {
    const { session, sent, bounds } = turn
    if (bounds.contextLimit !== undefined) session.setLimit(bounds.contextLimit)
    const running = new RunningTurn(this.#parts, turn, rules, reservation, caller)
    const answer = sink.begin(running)
    scope.onClose(() => running.closed())
    const headers = setEngineSession(outgoing, sent.engineSession)
    headers.push('content-length', String(sent.body.length))
    scope.trace?.dispatch(headers)
    charge?.dispatched()
    const abort = turn.engine.send({ method, path, headers, body: sent.body }, answer)
    // One abort signal from client to engine, in every phase: queued, connecting, prefill, stream.
    const stopListening = session.onEnd(() => abort(sessionEnded()))
    scope.onClose(() => {
      stopListening()
      if (!scope.isAnswered) abort()
    })
    return running
  }
}

function sessionEnded(): CwmError {
  return new CwmError('SESSION_ENDED', 'the session was ended; send the request again and it begins a new one', {
    param: 'x-cwm-session',
  })
}
