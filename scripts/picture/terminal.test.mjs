// The small terminal draws what a real one would.

import { expect, it } from 'vitest'
import { Terminal } from './terminal.mjs'

const ESC = '\u001b'

function shown(...writes) {
  const terminal = new Terminal(10, 3)
  for (const text of writes) terminal.write(text)
  return terminal
    .text()
    .split('\n')
    .map((line) => line.trimEnd())
}

it.each([
  ['lines', ['one\r\ntwo'], ['one', 'two', '']],
  ['a line that is drawn again', [`working\r${ESC}[Kdone`], ['done', '', '']],
  ['more lines than rows', ['1\r\n2\r\n3\r\n4'], ['2', '3', '4']],
  ['a line longer than the terminal', ['0123456789ab'], ['0123456789', 'ab', '']],
  ['the cursor moved', [`abc${ESC}[2;3Hx${ESC}[Hz`], ['zbc', '  x', '']],
  ['a sequence that is cut between two writes', [`a${ESC}`, '[1mb', `${ESC}[`, '2J'], ['', '', '']],
  ['the shell again after a program had the whole screen', [`$ top${ESC}[?1049htable${ESC}[?1049l`], ['$ top', '', '']],
  ['nothing of a title', [`${ESC}]0;title\u0007text`], ['text', '', '']],
])('shows %s', (_, writes, wanted) => {
  expect(shown(...writes)).toEqual(wanted)
})

it('renders colors, and no markup of its content', () => {
  const terminal = new Terminal(6, 1)
  terminal.write(`${ESC}[?25l${ESC}[32mg${ESC}[39m<b>`)

  expect(terminal.html()).toBe('<span style="color:#7ee787">g</span>&lt;b>  ')
})
