/** A promise, or `undefined` where nothing is to be waited for: a promise less on a path was measured to be faster. */
export type MaybeLater = Promise<void> | undefined
