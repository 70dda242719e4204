// Preloaded into the proxy with --expose-gc: SIGUSR2 forces a full garbage collection, so that the live heap can be measured.

process.on('SIGUSR2', () => globalThis.gc())
