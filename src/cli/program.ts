// The commands and their options, as `--help` shows them: the options of `serve` are the settings, with the schema's own words and defaults.

import { Command } from 'commander'
import { CwmError } from '../base/errors.ts'
import { version } from '../base/version.ts'
import { SettingsError, variableOf } from '../config/load.ts'
import { describeDefault, describeSetting, flagNames, isSwitch, type SettingName } from '../config/schema.ts'
import { addChat } from './chat.ts'
import { exitCodes } from './client/command.ts'
import { UsageError } from './client/rest.ts'
import { doctorSettings, withDoctorFlags } from './doctor-flags.ts'
import { exitOnBrokenPipe } from './exit-on-epipe.ts'
import { runKey } from './key.ts'
import { addMcp } from './mcp.ts'
import { addSessions } from './sessions.ts'
import { addWindows } from './windows.ts'

/** The command line of cwm. A fault in it ends the process with the fault and where to look: the help of `serve` is pages long. */
export function createProgram(): Command {
  const program = new Command('cwm')
    .description(
      'Context Window Manager: a proxy that gives each session a KV cache of its own, and its context a name',
    )
    .version(version)
    // Commands that are added from here on inherit it.
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : exitCodes.usage))
    .hook('preAction', (_, command) => {
      if (command.name() !== 'serve') exitOnBrokenPipe()
    })

  const serve = program
    .command('serve')
    .description('Run the proxy in front of an OpenAI-compatible engine')
    .option('--config <file>', 'settings in YAML; flags and CWM_… variables go before it (env: CWM_CONFIG)')
  for (const name of flagNames) {
    const value = isSwitch(name) ? '[true|false]' : '<value>'
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
    .description('Prove what cwm stands on, line by line, with a remedy for each fault; needs no running cwm')
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
    .description('Show the main job on a simulated engine: two sessions, freeze, restart, thaw, receipt')
    .option('--keep', 'leave it running afterwards, for your own SDK')
    .action((options: { keep?: boolean }) =>
      run(async () => {
        // The simulator and its tokenizer take 40 MB, which `serve` shall not.
        const { runDemo } = await import('./demo.ts')
        await runDemo(options.keep === true)
      }),
    )

  program
    .command('key')
    .description('Make an API key for a tenant, and its entry for the settings file')
    .argument('[name]', 'what the audit log calls the key', 'main')
    .option('--stdin', 'make the entry of a key that there is already, from standard input')
    .action((name: string, options: { stdin?: boolean }) => run(() => runKey(name, options.stdin === true)))

  addWindows(program)
  addSessions(program)
  addChat(program)
  addMcp(program)

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
    if (!(error instanceof CwmError || error instanceof UsageError)) throw error
    console.error(`cwm: ${error.message}`)
    const isUsage = error instanceof UsageError || error instanceof SettingsError
    process.exitCode = isUsage ? exitCodes.usage : exitCodes.refused
  }
}
