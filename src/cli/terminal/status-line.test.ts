import { expect, it } from 'vitest'
import { StatusLine } from './status-line.ts'

const written = (isTTY: boolean) => {
  let text = ''
  const output = { isTTY, columns: 10, write: (more: string) => (text += more) }
  return { line: new StatusLine(output), text: () => text }
}

it('replaces its line, and clears it once before something else is printed', () => {
  const { line, text } = written(true)

  line.show('1 of 2')
  line.show('2 of 2 windows')
  line.clear()
  line.clear()

  expect(text()).toBe('\r\u001b[K1 of 2\r\u001b[K2 of 2 w…\r\u001b[K')
})

it('shows nothing unless on a terminal', () => {
  const { line, text } = written(false)

  line.show('1 of 2')
  line.clear()

  expect(text()).toBe('')
})
