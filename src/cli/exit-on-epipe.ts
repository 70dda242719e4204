// Ends the process quietly when the reader of standard output goes away (`| head`), as other programs do.

/**
 * For every command except `serve`, which must survive losing the reader of its log. Exits with the code set so far, because everything
 * printed until then was correct.
 */
export function exitOnBrokenPipe(stdout: NodeJS.WriteStream = process.stdout): void {
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit()
    throw error
  })
}
