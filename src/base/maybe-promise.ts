// Values that are usually there at once. Most turns wait for nothing but their body and their answer, so their steps are plain calls; a step
// that must wait returns a promise.

export type MaybePromise<T> = T | Promise<T>

/** Continues at once with a value that is there, or when the promise for it resolves. What `next` throws, the caller gets either way. */
export function andThen<T, U>(value: MaybePromise<T>, next: (value: T) => MaybePromise<U>): MaybePromise<U> {
  return value instanceof Promise ? value.then(next) : next(value)
}
