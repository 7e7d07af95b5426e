import type { Breakage } from './passage.ts'

/** Protocols made wrong on purpose: a guard that cannot fail is worse than none. */
export const BREAKAGES: Readonly<Record<string, Breakage>> = {
  /**
   * The decision is written and committed before the last PREPARE. The client gets the answer to PREPARE at once. The
   * server gets the PREPARE only with the next message, which is sent after the decision.
   */
  'decision-first': { holdsBack: ({ step, client }) => step === 'prepare' && client.startsWith('worker') },
}
