// Preloaded into the proxy by `npm run soak -- --leak N`: leaks N MiB per minute, to show that the soak detects it. N is this module's query.

const MIB = 1024 * 1024
const STEP_MS = 100

const perMinute = Number(new URL(import.meta.url).search.slice(1)) * MIB
const kept = []
// Filled, for the system counts only pages that were written.
setInterval(() => kept.push(Buffer.alloc((perMinute * STEP_MS) / 60_000, 1)), STEP_MS).unref()
