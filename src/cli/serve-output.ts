// What `cwm serve` writes to standard error: its log and its startup messages. All of it has one format, so that tools can parse it.

import { format } from 'node:util'
import type { CwmError } from '../base/errors.ts'
import { LogStream } from '../base/log-stream.ts'
import { textLine } from '../base/log-text.ts'
import { createLogger, type Logger, type LogLevel, STANDARD_ERROR } from '../base/logger.ts'
import type { Settings } from '../config/schema.ts'
import { wantsColor } from './terminal/screen.ts'

export interface ServeOutput {
  readonly log: Logger
  /** Changes the minimum level of log lines. */
  readonly setLogLevel: (level: LogLevel) => void
  /** @param lines As `App.findings`. */
  findings(lines: readonly string[]): void
  unknownVariable(name: string): void
  /** @param url The origin that it listens at. */
  ready(url: string, hasDashboard: boolean): void
  stopping(): void
  stoppedEarly(): void
  /** Reports that cwm could not start. Written at every log level, including `silent`. */
  failed(error: CwmError): void
}

const STOPPING = 'stopping: current answers may finish; send a second signal to stop at once'
const STOPPED_EARLY = 'stopped before startup was complete'

/** Messages are plain text in the format `text`, and log lines of level info or warn in the format `json`. */
export function serveOutput({ log_level: level, log_format: wanted }: Settings): ServeOutput {
  const isText = (wanted ?? (process.stderr.isTTY ? 'text' : 'json')) === 'text'
  return isText ? textOutput(level) : jsonOutput(level)
}

function textOutput(level: Settings['log_level']): ServeOutput {
  const isColored = wantsColor(process.env, process.stderr)
  const stream = new LogStream(STANDARD_ERROR, (line) => textLine(line, isColored))
  // Written through the log's stream, so that lines keep their order.
  const print = (text: string) => stream.print(`${text}\n`)
  const log = createLogger(level, stream)
  return {
    log,
    setLogLevel: (next) => log.setLevel(next),
    findings: (lines) => lines.forEach(print),
    unknownVariable: (name) => print(`warning   ${unknownSetting(name)}`),
    ready(url, hasDashboard) {
      print(`ready     ${url}/v1  (point your OpenAI or Anthropic SDK's base URL here)`)
      if (hasDashboard) print(`dashboard ${url}/cwm/`)
    },
    stopping: () => print(STOPPING),
    stoppedEarly: () => print(STOPPED_EARLY),
    failed: ({ message }) => print(`cwm: ${message}`),
  }
}

function jsonOutput(level: Settings['log_level']): ServeOutput {
  const stream = new LogStream(STANDARD_ERROR)
  const log = createLogger(level, stream)
  captureConsole(log)
  return {
    log,
    setLogLevel: (next) => log.setLevel(next),
    findings(lines) {
      for (const { about, isWarning, text } of parseFindings(lines)) log[isWarning ? 'warn' : 'info']({ about }, text)
    },
    unknownVariable: (variable) => log.warn({ variable }, unknownSetting(variable)),
    ready(url, hasDashboard) {
      log.info({ url: `${url}/v1`, ...(hasDashboard ? { dashboard: `${url}/cwm/` } : {}) }, 'ready')
    },
    stopping: () => log.info(STOPPING),
    stoppedEarly: () => log.info(STOPPED_EARLY),
    failed: ({ code, message }) =>
      createLogger(level === 'silent' ? 'error' : level, stream).error({ code: code.toLowerCase() }, message),
  }
}

const unknownSetting = (name: string): string => `${name} is not a setting of cwm; see cwm serve --help`

/** Logs Node's warnings and console output of libraries. As plain text they would break the JSON stream. */
function captureConsole(log: Logger): void {
  process.removeAllListeners('warning')
  process.on('warning', (warning) => log.warn({ name: warning.name }, warning.message))
  console.error = (...args: unknown[]) => log.error(format(...args))
  console.warn = (...args: unknown[]) => log.warn(format(...args))
}

interface Entry {
  readonly about: string
  readonly isWarning: boolean
  readonly text: string
}

const FINDING = /^(\w*)\s+(warning: )?(.*)$/s

/** Parses findings, which have their subject in the first column; a line without one continues the subject above. */
export function parseFindings(lines: readonly string[]): readonly Entry[] {
  let about = ''
  return lines.map((line) => {
    const [, subject = '', warning, text = line] = FINDING.exec(line) ?? []
    if (subject !== '') about = subject
    return { about, isWarning: warning !== undefined, text }
  })
}
