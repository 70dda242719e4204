// Loaded into the proxy before all else, with --expose-gc: SIGUSR2 collects all garbage, so that what is left can be measured.

process.on('SIGUSR2', () => globalThis.gc())
