// A small terminal: keeps a grid of cells from what a program writes, and renders it as HTML. It knows the sequences that cwm, Bash and
// readline send, and ignores others.

const FONT = { 31: '#ff7b72', 32: '#7ee787', 33: '#e3b341', 34: '#79c0ff', 36: '#76e3ea' }
const blank = () => ({ text: ' ', color: undefined, isBold: false, isDim: false })

export class Terminal {
  #cells
  #x = 0
  #y = 0
  #style = blank()
  /** The screen of the shell while a program has the alternate one. */
  #shell
  #isCursorShown = true
  #unfinished = ''

  /** @param {number} columns @param {number} rows */
  constructor(columns, rows) {
    this.columns = columns
    this.rows = rows
    this.#cells = this.#empty()
  }

  /** @param {string} text Output of a program; a sequence may be cut. */
  write(text) {
    const all = this.#unfinished + text
    this.#unfinished = ''
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are told what to do by these
    const token = /\x1b\[([?>=]?)([\d;]*)([A-Za-z~])|\x1b\][^\x07]*\x07|\x1b[=>()][0-9A-B]?|\x1b.?|[\s\S]/gu
    for (const [part, mark, numbers, name] of all.matchAll(token)) {
      if (name !== undefined) this.#control(mark, numbers.split(';').map(Number), name)
      else if (part[0] === '\x1b') {
        if (all.endsWith(part) && part.length < 3) this.#unfinished = part
      } else this.#put(part)
    }
  }

  #empty() {
    return Array.from({ length: this.rows }, () => Array.from({ length: this.columns }, blank))
  }

  #put(character) {
    if (character === '\r') this.#x = 0
    else if (character === '\n') this.#feed()
    else if (character === '\b') this.#x = Math.max(0, this.#x - 1)
    else if (character >= ' ') {
      if (this.#x >= this.columns) {
        this.#x = 0
        this.#feed()
      }
      this.#cells[this.#y][this.#x++] = { ...this.#style, text: character }
    }
  }

  #feed() {
    if (this.#y < this.rows - 1) this.#y++
    else this.#cells = [...this.#cells.slice(1), Array.from({ length: this.columns }, blank)]
  }

  #control(mark, numbers, name) {
    const [first = 0, second = 0] = numbers
    if (mark === '?') {
      if (first === 25) this.#isCursorShown = name === 'h'
      if (first === 1049) this.#alternate(name === 'h')
    } else if (name === 'm') for (const code of numbers) this.#restyle(code)
    else if (name === 'H') {
      this.#y = Math.min(this.rows, Math.max(1, first)) - 1
      this.#x = Math.min(this.columns, Math.max(1, second)) - 1
    } else if (name === 'G') this.#x = Math.max(1, first) - 1
    else if (name === 'A') this.#y = Math.max(0, this.#y - Math.max(1, first))
    else if (name === 'B') this.#y = Math.min(this.rows - 1, this.#y + Math.max(1, first))
    else if (name === 'C') this.#x = Math.min(this.columns - 1, this.#x + Math.max(1, first))
    else if (name === 'D') this.#x = Math.max(0, this.#x - Math.max(1, first))
    else if (name === 'K') this.#erase(first === 1 ? 0 : this.#x, first === 1 ? this.#x + 1 : this.columns)
    else if (name === 'J') {
      if (first === 2) this.#cells = this.#empty()
      else {
        this.#erase(this.#x, this.columns)
        for (let y = this.#y + 1; y < this.rows; y++) this.#cells[y] = Array.from({ length: this.columns }, blank)
      }
    }
  }

  #alternate(isOn) {
    if (isOn) {
      this.#shell = { cells: this.#cells, x: this.#x, y: this.#y }
      this.#cells = this.#empty()
    } else if (this.#shell !== undefined) {
      this.#cells = this.#shell.cells
      this.#x = this.#shell.x
      this.#y = this.#shell.y
    }
  }

  #erase(from, to) {
    for (let x = from; x < to; x++) this.#cells[this.#y][x] = blank()
  }

  #restyle(code) {
    if (code === 0) this.#style = blank()
    else if (code === 1) this.#style.isBold = true
    else if (code === 2) this.#style.isDim = true
    else if (code === 22) Object.assign(this.#style, { isBold: false, isDim: false })
    else if (code === 39) this.#style.color = undefined
    else if (FONT[code] !== undefined) this.#style.color = FONT[code]
  }

  /** The screen as the content of a <pre>. */
  html() {
    return this.#cells
      .map((row, y) =>
        row
          .map(({ text, color, isBold, isDim }, x) => {
            const isCursor = this.#isCursorShown && y === this.#y && x === this.#x
            const style = [
              color === undefined ? '' : `color:${color}`,
              isBold ? 'font-weight:bold' : '',
              isDim ? 'opacity:.65' : '',
              isCursor ? 'background:#8b949e' : '',
            ].filter((one) => one !== '')
            const safe = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
            return style.length === 0 ? safe : `<span style="${style.join(';')}">${safe}</span>`
          })
          .join(''),
      )
      .join('\n')
  }

  /** The screen as text, for waiting. */
  text() {
    return this.#cells.map((row) => row.map(({ text }) => text).join('')).join('\n')
  }
}
