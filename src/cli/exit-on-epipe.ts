// Exits quietly when the reader of standard output goes away (`| head`), as other programs do.

/**
 * For all commands except `serve`, which must keep running if the reader of its log goes away. Exits with the code set so far, because
 * everything printed until then was correct.
 */
export function exitOnBrokenPipe(stdout: NodeJS.WriteStream = process.stdout): void {
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit()
    throw error
  })
}
