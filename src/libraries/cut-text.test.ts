import { describe, expect, it } from 'vitest'
import { typicalTokens } from '../limits/typical.ts'
import { cutText } from './cut-text.ts'
import type { PieceRules, TextFormat } from './pieces.ts'

const rules = (maxSize: number, format: TextFormat = 'markdown'): PieceRules => ({
  format,
  maxSize,
  sizeOf: typicalTokens,
})

/** The same numbers from 0 to 1 for the same seed. */
function numbersFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

const words = 'harbor pilot tide lantern gull rope anchor winter ice book weight boat north pier signal fog'.split(' ')

function sentence(random: () => number): string {
  const count = 3 + Math.floor(random() * 14)
  const text = Array.from({ length: count }, () => words[Math.floor(random() * words.length)]).join(' ')
  return `${text} ${Math.floor(random() * 1e6)}.`
}

function document(random: () => number, blocks: number): string {
  return Array.from({ length: blocks }, () => {
    const kind = random()
    if (kind < 0.15) return `${'#'.repeat(1 + Math.floor(random() * 3))} ${sentence(random)}\n\n`
    if (kind < 0.25) return `${Array.from({ length: 3 }, () => `- ${sentence(random)}`).join('\n')}\n\n`
    return `${Array.from({ length: 1 + Math.floor(random() * 6) }, () => sentence(random)).join(' ')}\n\n`
  }).join('')
}

/** One line inserted, deleted, replaced, doubled, or emptied. */
function edited(text: string, random: () => number): string {
  const lines = text.split('\n')
  const at = Math.floor(random() * lines.length)
  const line = lines[at] ?? ''
  const edits: readonly (readonly string[])[] = [
    [sentence(random), line],
    [],
    [sentence(random)],
    [line, line],
    [''],
    [`# ${sentence(random)}`, line],
  ]
  return lines.toSpliced(at, 1, ...(edits[Math.floor(random() * edits.length)] ?? [])).join('\n')
}

describe('a text', () => {
  it('is cut before a heading rather than between paragraphs', () => {
    const text = '# One\n\nFirst words here.\n\nMore of it.\n\n# Two\n\nOther words here.\n'

    expect(cutText(text, rules(16))).toEqual([
      '# One\n\nFirst words here.\n\nMore of it.\n\n',
      '# Two\n\nOther words here.\n',
    ])
  })

  it('that is plain has no headings', () => {
    const text = 'one one one\n\n# two two\nthree three\n'

    expect(cutText(text, rules(9, 'plain'))).toEqual(['one one one\n\n', '# two two\nthree three\n'])
  })

  it('whose paragraph is too long is cut at lines, sentences, words, and characters', () => {
    const lines = `${'rope and tide '.repeat(6)}\n`.repeat(4)
    const sentences = 'The rope holds the boat at the pier. '.repeat(8)
    const running = 'rope '.repeat(90)
    const letters = 'é'.repeat(700)

    for (const [text, ending] of [
      [lines, /\n$/],
      [sentences, /\. $/],
      [running, /rope ?$/],
      [letters, /é$/],
    ] as const) {
      const parts = cutText(text, rules(32))
      expect(parts.length).toBeGreaterThan(2)
      for (const part of parts) expect(part).toMatch(ending)
    }
  })

  it('keeps pairs of surrogates whole', () => {
    for (const part of cutText('🚢'.repeat(500), rules(16))) expect(part.isWellFormed()).toBe(true)
  })

  it('is never changed: joined, the parts are the text, and none is larger than allowed', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = numbersFrom(seed)
      const max = 40 + Math.floor(random() * 400)
      const text = document(random, 20 + Math.floor(random() * 100))
      const parts = cutText(text, rules(max))

      expect(parts.join('')).toBe(text)
      for (const part of parts) expect(typicalTokens(part)).toBeLessThanOrEqual(max)
    }
  })

  it('is cut the same if it is added again', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const text = document(numbersFrom(seed), 80)
      const parts = cutText(text, rules(120))

      expect(cutText(text, rules(120), parts)).toEqual(parts)
    }
  })
})

describe('a change of one line', () => {
  it('changes three parts at most, edit after edit', () => {
    const changed: number[] = []
    for (let seed = 1; seed <= 60; seed++) {
      const random = numbersFrom(seed * 7_919)
      const max = 100 + Math.floor(random() * 400)
      let text = document(random, 60 + Math.floor(random() * 60))
      let parts = cutText(text, rules(max))
      for (let edit = 0; edit < 12; edit++) {
        text = edited(text, random)
        const next = cutText(text, rules(max), parts)
        const known = new Set(parts)
        changed.push(next.filter((part) => !known.has(part)).length)
        expect(next.join('')).toBe(text)
        parts = next
      }
    }

    expect(Math.max(...changed)).toBeLessThanOrEqual(3)
    expect(changed.length).toBe(720)
  })

  it('leaves moved parts alone', () => {
    const random = numbersFrom(5)
    const [first, second] = [document(random, 40), document(random, 40)]
    const parts = [...cutText(first, rules(100)), ...cutText(second, rules(100))]

    expect(new Set(cutText(second + first, rules(100), parts))).toEqual(new Set(parts))
  })

  it('of the last word is seen', () => {
    const text = 'Word one here.\n\nThe tide'

    expect(cutText(`${text}s are high`, rules(6), cutText(text, rules(6)))).toEqual([
      'Word one here.\n\n',
      'The tides are high',
    ])
  })
})
