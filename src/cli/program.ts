// The commands and their options. The options of `serve` are the settings, with descriptions and defaults from the schema.

import { Command } from 'commander'
import { CwmError } from '../base/errors.ts'
import { version } from '../base/version.ts'
import { SettingsError, variableOf } from '../config/load.ts'
import type { SettingName } from '../config/schema.ts'
import { describeDefault, describeSetting, flagNames, isBooleanSetting } from '../config/setting-facts.ts'
import { addAsk } from './ask.ts'
import { addChat } from './chat.ts'
import { exitCodes } from './client/command.ts'
import { UsageError } from './client/rest.ts'
import { addCompletion } from './completion.ts'
import { doctorSettings, withDoctorFlags } from './doctor-flags.ts'
import { addEngines } from './engines.ts'
import { exitOnBrokenPipe } from './exit-on-epipe.ts'
import { runKey } from './key.ts'
import { addKeys } from './keys.ts'
import { addLibraries } from './libraries.ts'
import { addMcp } from './mcp.ts'
import { addPlan } from './plan.ts'
import { addReload } from './reload.ts'
import { addSessions } from './sessions.ts'
import { addTop } from './top.ts'
import { addUsage } from './usage.ts'
import { addWindows } from './windows.ts'

/** The command line of cwm. Usage errors point to the help instead of printing it, because the help of `serve` is pages long. */
export function createProgram(): Command {
  const program = new Command('cwm')
    .description(
      'Context Window Manager: a proxy that isolates the KV cache of each session and saves contexts under names',
    )
    .version(version)
    // Commands added after this inherit it.
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : exitCodes.usage))
    .hook('preAction', (_, command) => {
      if (command.name() !== 'serve') exitOnBrokenPipe()
    })

  const serve = program
    .command('serve')
    .description('Run the proxy in front of an OpenAI-compatible engine')
    .option('--config <file>', 'settings in YAML; flags and CWM_… variables override it (env: CWM_CONFIG)')
  for (const name of flagNames) {
    const value = isBooleanSetting(name) ? '[true|false]' : '<value>'
    serve.option(`--${name.replaceAll('_', '-')} ${value}`, describeFlag(name))
  }
  serve.action((options: Record<string, unknown>) =>
    run(async () => {
      const { runServe } = await import('./serve.ts')
      await runServe(flagsOf(options), fileOf(options))
    }),
  )

  const doctor = program
    .command('doctor')
    .description('Check engine, LMCache, and storage with live proofs, and suggest fixes; needs no running cwm')
    .option('--config <file>', 'settings in YAML, as for serve (env: CWM_CONFIG)')
  for (const name of doctorSettings) doctor.option(`--${name.replaceAll('_', '-')} <value>`, describeFlag(name))
  withDoctorFlags(doctor).action((options: Record<string, unknown>) =>
    run(async () => {
      const { runDoctor } = await import('./doctor.ts')
      await runDoctor(flagsOf(options), fileOf(options), options)
    }),
  )

  program
    .command('demo')
    .description('Show the main features on a simulated engine: two sessions, freeze, restart, thaw, receipt')
    .option('--keep', 'keep it running afterwards, for your own SDK')
    .action((options: { keep?: boolean }) =>
      run(async () => {
        // Loaded on demand: the simulator and its tokenizer take 40 MB, which `serve` does not need.
        const { runDemo } = await import('./demo.ts')
        await runDemo(options.keep === true)
      }),
    )

  program
    .command('key')
    .description('Generate an API key for a tenant, and its entry for the settings file')
    .argument('[name]', 'name of the key in the audit log', 'main')
    .option('--stdin', 'read an existing key from standard input, and print its entry')
    .action((name: string, options: { stdin?: boolean }) => run(() => runKey(name, options.stdin === true)))

  addWindows(program)
  addAsk(program)
  addLibraries(program)
  addSessions(program)
  addEngines(program)
  addKeys(program)
  addTop(program)
  addPlan(program)
  addUsage(program)
  addReload(program)
  addChat(program)
  addMcp(program)
  addCompletion(program)

  program.addHelpText(
    'after',
    '\nDocumentation: http://127.0.0.1:8787/cwm/docs/ (or your address) while cwm serve runs',
  )
  program.showHelpAfterError('see cwm --help')
  for (const command of program.commands) {
    command.showHelpAfterError(`see cwm ${command.name()} --help`)
    for (const sub of command.commands) sub.showHelpAfterError(`see cwm ${command.name()} ${sub.name()} --help`)
  }
  return program
}

function describeFlag(name: SettingName): string {
  const value = describeDefault(name)
  return `${describeSetting(name)} (${value === undefined ? '' : `default: ${value}; `}env: ${variableOf(name)})`
}

/** Converts the camelCase names that commander gives options to setting names. */
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
    if (!(error instanceof CwmError || error instanceof UsageError)) throw error
    console.error(`cwm: ${error.message}`)
    const isUsage = error instanceof UsageError || error instanceof SettingsError
    process.exitCode = isUsage ? exitCodes.usage : exitCodes.refused
  }
}
