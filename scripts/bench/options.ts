import process from 'node:process'
import { parseArgs } from 'node:util'
import { DATABASES, type Database } from './databases.ts'
import { BASELINE, SERVERS } from './servers.ts'
import { WORKS, type Work } from './works.ts'

export interface Options {
  /** Of each measured slice, about. */
  readonly seconds: number
  readonly rounds: number
  readonly connections: number
  readonly works: readonly Work[]
  readonly servers: readonly string[]
  /** Milliseconds of a round trip to PostgreSQL; 0 is without the proxy. */
  readonly delays: readonly number[]
  readonly databases: readonly Database[]
  readonly fsync: 'on' | 'off'
  /** The dist of another build, to compare with. */
  readonly baseline: string | undefined
  readonly profile: boolean
  /** A folder for the profiles. */
  readonly keep: string | undefined
}

interface Preset {
  readonly seconds: string
  readonly rounds: string
  readonly servers: readonly string[]
  readonly databases: readonly Database[]
}

const FULL: Preset = { seconds: '1', rounds: '7', servers: Object.keys(SERVERS), databases: DATABASES }
const QUICK: Preset = {
  seconds: '0.25',
  rounds: '5',
  servers: ['koa', 'sessions', 'by-hand', 'sqlassist', 'sqlassist-pipelined', BASELINE],
  databases: ['postgresql'],
}

export const USAGE = `usage: npm run bench -- [options], or node scripts/bench/run.ts [options]
  --quick              about three minutes on a machine that is idle otherwise: fewer servers, shorter slices, PostgreSQL only
  --seconds N          of a measured slice (${FULL.seconds})
  --rounds N           how often the servers take turns (${FULL.rounds})
  --connections N      of the load (8)
  --works a,b          ${WORKS.join(', ')}
  --servers a,b        ${Object.keys(SERVERS)
    .filter((name) => name !== BASELINE)
    .join(', ')}
  --delays 0,2         milliseconds of a round trip to PostgreSQL
  --databases a,b      ${DATABASES.join(', ')}
  --fsync on|off       of PostgreSQL (off)
  --baseline DIST      the dist of another build as one more server, ${BASELINE}
  --profile            a CPU profile of each server and work instead of a comparison, for --seconds times --rounds
  --keep FOLDER        where to put the profiles, for DevTools to read
`

/** Ends the process with the usage where the arguments make no sense. */
export function readOptions(args: readonly string[]): Options {
  try {
    return parse(args)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}`)
    process.exit(2)
  }
}

function parse(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      connections: { type: 'string', default: '8' },
      works: { type: 'string', default: WORKS.join() },
      servers: { type: 'string' },
      delays: { type: 'string', default: '0,2' },
      databases: { type: 'string' },
      fsync: { type: 'string', default: 'off' },
      baseline: { type: 'string' },
      profile: { type: 'boolean', default: false },
      keep: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const { baseline } = values
  const preset = values.quick ? QUICK : FULL
  const available = Object.keys(SERVERS).filter((name) => name !== BASELINE || baseline !== undefined)
  if (values.help) throw new Error('koa-sqlassist benchmark')
  return {
    seconds: number('seconds', values.seconds ?? preset.seconds, (value) => value > 0),
    rounds: number('rounds', values.rounds ?? preset.rounds, (value) => Number.isInteger(value) && value > 0),
    connections: number('connections', values.connections, (value) => Number.isInteger(value) && value > 0),
    works: list('works', values.works, WORKS),
    servers: list(
      'servers',
      values.servers ?? available.filter((name) => preset.servers.includes(name)).join(),
      available,
    ),
    delays: values.delays.split(',').map((delay) => number('delays', delay, (value) => value >= 0)),
    databases: list('databases', values.databases ?? preset.databases.join(), DATABASES),
    fsync: list('fsync', values.fsync, ['on', 'off'] as const)[0]!,
    baseline,
    profile: values.profile,
    keep: values.keep,
  }
}

function number(name: string, text: string, allows: (value: number) => boolean): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (!allows(value)) throw new Error(`--${name} is "${text}"`)
  return value
}

/** The given ones, in the order of `known`. */
function list<T extends string>(name: string, text: string, known: readonly T[]): T[] {
  const given = text.split(',')
  const unknown = given.find((each) => !known.includes(each as T))
  if (unknown !== undefined) throw new Error(`--${name} has "${unknown}"; it can be ${known.join(', ')}`)
  return known.filter((each) => given.includes(each))
}
