import type { Breakage } from './proxy.ts'

/** Protocols made wrong on purpose: a guard that cannot fail is worse than none. */
export const BREAKAGES: Readonly<Record<string, Breakage>> = {
  /**
   * The decision is written and committed before the last PREPARE: the client is told at once that its transaction is
   * prepared, and the server hears of it with the next message only, which is sent after the decision.
   */
  'decision-first': { holdsBack: ({ step, client }) => step === 'prepare' && client.startsWith('worker') },
}
