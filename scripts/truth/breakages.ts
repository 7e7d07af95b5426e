/** The library made wrong on purpose: a guard that cannot fail is worse than none. */
export const BREAKAGES: Readonly<Record<string, () => Promise<void> | void>> = {}
