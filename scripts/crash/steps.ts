/** The steps of the protocol, as they show on the wire: what a message makes the server do, by its text. */
export const STEPS = [
  'begin',
  'read',
  'write',
  'prepare',
  'decide',
  'commit',
  'commit prepared',
  'rollback prepared',
  'look for prepared',
  'fence',
  'forget',
  'other',
] as const
export type Step = (typeof STEPS)[number]

export const SIDES = ['request', 'answer'] as const
export type Side = (typeof SIDES)[number]

/** The first that matches counts. A message may hold several statements, so the most decisive step comes first. */
const PATTERNS: readonly (readonly [RegExp, Step])[] = [
  [/\bcommit prepared\b/i, 'commit prepared'],
  [/\brollback prepared\b/i, 'rollback prepared'],
  [/\bprepare transaction\b/i, 'prepare'],
  [/\bpg_prepared_xacts\b/i, 'look for prepared'],
  [/\bdelete from\b.*\bsqlassist_decision\b/is, 'forget'],
  [/\binsert into\b.*\bsqlassist_decision\b.*'abort'/is, 'fence'],
  [/\binsert into\b.*\bsqlassist_decision\b.*'commit'/is, 'decide'],
  [/\bsqlassist_decision\b/i, 'other'],
  [/\binsert into\b|\bupdate "/i, 'write'],
  [/^\s*begin\b/i, 'begin'],
  [/^\s*commit\b/i, 'commit'],
  [/^\s*select\b/i, 'read'],
]

export function stepOf(text: string): Step {
  return PATTERNS.find(([pattern]) => pattern.test(text))?.[1] ?? 'other'
}
