// The cells of the benchmark: what is sent, and on how many connections.

import { BURST_MODEL, MODEL, PACED_MODEL } from './answers.mjs'

/**
 * `bodyBytes`: the exact size of a body. `kind`: how the mock upstream answers. `warm`: answers before counting starts. `inBursts`: all
 * connections wait until each has its whole answer, then send their next request at once. `turns`: nothing is timed; a new cwm receives so
 * many first turns, and what they leave on the disk is measured.
 */
export const scenarios = [
  {
    name: '4k-1',
    title: 'chat of 4 KB, 1 connection',
    bodyBytes: 4 * 1024,
    messages: 7,
    connections: 1,
    kind: 'json',
    warm: 1000,
  },
  {
    name: '4k-32',
    title: 'chat of 4 KB, 32 connections',
    bodyBytes: 4 * 1024,
    messages: 7,
    connections: 32,
    kind: 'json',
    warm: 3000,
  },
  {
    name: '32k-16',
    title: 'chat of 32 KB, 16 connections',
    bodyBytes: 32 * 1024,
    messages: 25,
    connections: 16,
    kind: 'json',
    warm: 1500,
  },
  {
    name: '512k-1',
    title: '512 KB in 400 messages, 1 connection',
    bodyBytes: 512 * 1024,
    messages: 400,
    connections: 1,
    kind: 'json',
    warm: 100,
  },
  {
    name: '512k-4',
    title: '512 KB in 400 messages, 4 connections',
    bodyBytes: 512 * 1024,
    messages: 400,
    connections: 4,
    kind: 'json',
    warm: 150,
  },
  {
    name: 'stream-16',
    title: 'streams of 200 events at once, 16 connections',
    bodyBytes: 4 * 1024,
    messages: 7,
    connections: 16,
    kind: 'stream',
    warm: 150,
  },
  {
    name: 'paced-64',
    title: 'streams of 200 events, one per 2 ms, 64 connections',
    bodyBytes: 4 * 1024,
    messages: 7,
    connections: 64,
    kind: 'paced',
    warm: 64,
  },
  {
    name: 'burst-64',
    title: 'streams of 200 events, 20 per 10 ms, 64 that begin together',
    bodyBytes: 4 * 1024,
    messages: 7,
    connections: 64,
    kind: 'burst',
    inBursts: true,
    warm: 640,
  },
  {
    name: 'disk',
    title: 'what 100,000 first turns of 1 KB, which nobody continues, leave on the disk',
    bodyBytes: 1024,
    messages: 3,
    connections: 64,
    kind: 'json',
    turns: 100_000,
  },
]

const models = { paced: PACED_MODEL, burst: BURST_MODEL }

export const isTimed = ({ turns }) => turns === undefined
export const isStream = ({ kind }) => kind !== 'json'
export const modelOf = ({ kind }) => models[kind] ?? MODEL
