// A reader of standard output that goes away (`| head`) ends the process quietly, as it ends other programs.

/**
 * For every command but `serve`, whose log may lose its reader while it serves. Exits with the code set so far: what was printed until
 * then was right.
 */
export function endQuietlyWithReader(stdout: NodeJS.WriteStream = process.stdout): void {
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit()
    throw error
  })
}
