// `cwm completion`: prints the completion script of a shell. `cwm __complete`: answers it.

import { Argument, type Command } from 'commander'
import { complete } from './completion/candidates.ts'
import { namesOf } from './completion/names.ts'
import { type Shell, scripts, shells } from './completion/scripts.ts'

/** Adds the command `completion`. */
export function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('Print the completion script for a shell: commands, options, and names of windows and sessions')
    .addArgument(new Argument('<shell>', 'your shell').choices(shells))
    .addHelpText(
      'after',
      `
Load it in your shell's startup file:
  bash  source <(cwm completion bash)      in ~/.bashrc
  zsh   source <(cwm completion zsh)       in ~/.zshrc, after compinit
  fish  cwm completion fish | source       in ~/.config/fish/config.fish

Names come from the running cwm (CWM_URL, CWM_API_KEY). If it does not answer, there are none.`,
    )
    .action((shell: Shell) => void process.stdout.write(scripts[shell]))
}

/** Prints the candidates for the words, up to the cursor. Prints nothing if there are none, and never fails. */
export async function runComplete(program: Command, words: readonly string[]): Promise<void> {
  const readNames: Parameters<typeof complete>[2] = (kind, typed, options) => namesOf(kind, typed, options, process.env)
  const lines = await complete(program, words, readNames)
  if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`)
}
