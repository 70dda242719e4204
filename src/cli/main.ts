#!/usr/bin/env node
// The command line: serve, key and demo. Reads settings, starts the app, prints what an operator needs, ends in order.

import { Command } from 'commander'
import { CwmError } from '../base/errors.ts'
import { describeSetting, flagNames, isSwitch, type SettingName } from '../config/schema.ts'
import { version } from '../version.ts'
import { runDemo } from './demo.ts'
import { runKey } from './key.ts'
import { runServe } from './serve.ts'

const program = new Command('cwm')
  .description('Context Window Manager: a proxy that gives each session a KV cache of its own, and its context a name')
  .version(version)
  .showHelpAfterError()

const serve = program
  .command('serve')
  .description('Run the proxy in front of an OpenAI-compatible engine')
  .option('--config <file>', 'settings in YAML; flags and CWM_… variables go before it (env: CWM_CONFIG)')
for (const name of flagNames) {
  const value = isSwitch(name) ? '[true|false]' : '<value>'
  serve.option(`--${name.replaceAll('_', '-')} ${value}`, `${describeSetting(name)} (env: CWM_${name.toUpperCase()})`)
}
serve.action((options: Record<string, unknown>) => run(() => runServe(flagsOf(options), fileOf(options))))

program
  .command('demo')
  .description('Show the main job on a simulated engine: two sessions, freeze, restart, thaw, receipt')
  .option('--keep', 'leave it running afterwards, for your own SDK')
  .action((options: { keep?: boolean }) => run(() => runDemo(options.keep === true)))

program
  .command('key')
  .description('Make an API key for a tenant, and its entry for the settings file')
  .argument('[name]', 'what the audit log calls the key', 'main')
  .option('--stdin', 'make the entry of a key that there is already, from standard input')
  .action((name: string, options: { stdin?: boolean }) => run(() => runKey(name, options.stdin === true)))

await program.parseAsync()

/** Commander names flags in camelCase. */
function flagsOf(options: Record<string, unknown>): Record<string, unknown> {
  const flags: Partial<Record<SettingName, unknown>> = {}
  for (const name of flagNames) {
    flags[name] = options[name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())]
  }
  return flags
}

function fileOf(options: Record<string, unknown>): string | undefined {
  const file = options.config ?? process.env.CWM_CONFIG
  return typeof file === 'string' && file !== '' ? file : undefined
}

async function run(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof CwmError)) throw error
    console.error(`cwm: ${error.message}`)
    process.exitCode = 1
  }
}
