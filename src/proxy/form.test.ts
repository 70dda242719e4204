// Forms: what clients write is read, and what two parsers could read in different ways is rejected.

import { describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { readForm } from './form.ts'

const TYPE = 'multipart/form-data; boundary=abc'

const field = (name: string, text: string) =>
  `--abc\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`
const file =
  '--abc\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n--ab\r\n'
const END = '--abc--\r\n'

function read(text: string, type = TYPE): unknown {
  try {
    return readForm(type, Buffer.from(text, 'latin1'))
  } catch (thrown) {
    return thrown instanceof CwmError ? thrown.code : thrown
  }
}

describe('a form', () => {
  it('has its text fields, wherever the file stands among them', () => {
    expect(read(field('model', 'm') + file + field('prompt', 'a\r\nb') + field('empty', '') + END)).toEqual({
      model: 'm',
      prompt: 'a\r\nb',
      empty: '',
    })
  })

  it('may repeat the fields that are lists, and no other', () => {
    expect(read(field('include[]', 'a') + field('include[]', 'b') + END)).toEqual({ 'include[]': ['a', 'b'] })
    expect(read(field('model', 'mine') + field('model', 'theirs') + END)).toBe('INVALID_FIELD')
  })

  it('is what fetch writes', async () => {
    const form = new FormData()
    form.append('model', 'm')
    form.append('file', new Blob(['RIFF']), 'a.wav')
    const request = new Request('http://cwm.example', { method: 'POST', body: form })
    const bytes = Buffer.from(await request.arrayBuffer())

    expect(readForm(request.headers.get('content-type') ?? '', bytes)).toEqual({ model: 'm' })
  })

  it.each([
    ['no boundary', field('model', 'm') + END, 'multipart/form-data'],
    ['another parameter', field('model', 'm') + END, 'multipart/form-data; charset=utf-7; boundary=abc'],
    ['JSON', '{}', 'application/json'],
  ])('of another type is rejected: %s', (_, text, type) => {
    expect(read(text, type)).toBe('UNSUPPORTED_MEDIA_TYPE')
  })

  it.each([
    ['a preamble', `x\r\n${field('model', 'm')}${END}`],
    ['no end', field('model', 'm')],
    ['more behind its end', `${field('model', 'm')}${END}${field('model', 'theirs')}`],
    ['a name with escapes', field('mo\\"del', 'm') + END],
    ['a name in another charset', `--abc\r\nContent-Disposition: form-data; name*=utf-8''model\r\n\r\nm\r\n${END}`],
    ['an unquoted name', `--abc\r\nContent-Disposition: form-data; name=model\r\n\r\nm\r\n${END}`],
    [
      'a transfer encoding',
      `--abc\r\nContent-Disposition: form-data; name="model"\r\nContent-Transfer-Encoding: base64\r\n\r\nbQ==\r\n${END}`,
    ],
    [
      'a charset',
      `--abc\r\nContent-Disposition: form-data; name="model"\r\nContent-Type: text/plain; charset=utf-7\r\n\r\nm\r\n${END}`,
    ],
    [
      'two dispositions',
      `--abc\r\nContent-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n${END}`,
    ],
    ['a text that is a file', `--abc\r\nContent-Disposition: form-data; name="model"; filename="x"\r\n\r\nm\r\n${END}`],
    ['a file that is a text', field('file', 'RIFF') + END],
    ['a folded header', `--abc\r\nContent-Disposition: form-data;\r\n name="model"\r\n\r\nm\r\n${END}`],
    [
      'a line break in a filename',
      `--abc\r\nContent-Disposition: form-data; name="file"; filename="a\nb"\r\n\r\nm\r\n${END}`,
    ],
    ['bare line feeds', `--abc\nContent-Disposition: form-data; name="model"\n\nm\n--abc--\n`],
    [
      'text behind a boundary',
      `--abc\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--abc x\r\n\r\n${END}`,
    ],
    ['too many parts', field('a[]', 'x').repeat(101) + END],
    ['too much text', field('prompt', 'x'.repeat(300_000)) + END],
  ])('is rejected that has %s', (_, text) => {
    expect(read(text)).toBe('INVALID_FIELD')
  })
})
