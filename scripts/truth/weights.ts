/** How often each kind of step is dealt, and where it can stand. */
import { killable, leavable, type Action, type Frame } from './program.ts'

export type Kind = Exclude<Action['do'], 'begin' | 'throw'>

interface Place {
  readonly depth: number
  readonly branch: boolean
  readonly nested: 'same' | 'other' | undefined
  readonly frame: Frame
}

const anywhere = (): boolean => true
const nests = ({ depth }: Place): boolean => depth < 3
const mainLine = ({ branch, nested }: Place): boolean => !branch && nested === undefined
const outermost = (place: Place): boolean => mainLine(place) && place.depth === 0
const inOwnUnit = ({ nested }: Place): boolean => nested === undefined
const overHttp = (place: Place): boolean => outermost(place) && place.frame.entry !== 'run'

/** A role that the program commits itself. */
const ownCommits = ({ nested, frame }: Place): boolean =>
  nested === undefined &&
  frame.roles.every(({ readOnly, commit }) => readOnly !== undefined || frame.disabled || commit === 'autonomous')

export const WEIGHTS: Readonly<Record<Kind, { readonly weight: number; readonly where: (place: Place) => boolean }>> = {
  write: { weight: 40, where: anywhere },
  flush: { weight: 6, where: anywhere },
  load: { weight: 5, where: mainLine },
  read: { weight: 6, where: anywhere },
  fail: { weight: 6, where: anywhere },
  scope: { weight: 9, where: nests },
  'own begin': { weight: 3, where: (place) => nests(place) && !place.branch },
  'leave behind': { weight: 5, where: (place) => leavable(place.frame).length > 0 },
  ending: { weight: 3, where: anywhere },
  savepoint: { weight: 5, where: (place) => mainLine(place) && nests(place) },
  compare: { weight: 3, where: mainLine },
  parallel: { weight: 4, where: (place) => nests(place) && inOwnUnit(place) },
  commit: { weight: 3, where: inOwnUnit },
  abort: { weight: 2, where: outermost },
  doom: { weight: 1, where: outermost },
  veto: { weight: 1, where: overHttp },
  leave: { weight: 2, where: overHttp },
  'commit role': { weight: 6, where: ownCommits },
  'roll back role': { weight: 1, where: outermost },
  kill: { weight: 1, where: (place) => outermost(place) && killable(place.frame).length > 0 },
  hook: { weight: 4, where: mainLine },
  echo: { weight: 3, where: mainLine },
  join: { weight: 2, where: (place) => outermost(place) && !place.frame.disabled },
  'nested run': { weight: 3, where: (place) => mainLine(place) && nests(place) },
  stream: { weight: 3, where: inOwnUnit },
  body: {
    weight: 2,
    where: (place) => overHttp(place) && place.frame.roles.some(({ name }) => name === 'reader'),
  },
  'late branch': { weight: 4, where: (place) => outermost(place) && place.frame.attempts > 1 },
}
