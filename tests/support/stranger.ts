/** The package as a stranger has it: packed, and installed into an empty folder beside its peers. Made once a run. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from './sqlite.ts'

interface Manifest {
  readonly exports: Readonly<Record<string, string | { types: string; development: string; default: string }>>
  readonly engines: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly peerDependenciesMeta: Readonly<Record<string, unknown>>
}

/** One way into the package. */
export interface Entry {
  /** As it is imported: `koa-sqlassist`. */
  readonly name: string
  readonly types: string
  readonly development: string
  readonly default: string
}

export interface Stranger {
  readonly home: string
  /** `node_modules/koa-sqlassist` in it. */
  readonly installed: string
  readonly tarball: string
  /** Runs a program in the folder; what it prints. */
  run(command: string, args: readonly string[]): string
  /** Runs a module in the folder, which prints JSON. */
  evaluate(module: string): unknown
  /** Checks files of the folder as strictly as TypeScript can. */
  compile(files: readonly string[], options?: readonly string[]): string
  /** What TypeScript says by default, which looks into declarations too, of the package and of files of the folder. */
  complaints(files: readonly string[], options: readonly string[]): string[]
}

export const root = fileURLToPath(new URL('../../', import.meta.url))
export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
export const entries: readonly Entry[] = Object.entries(manifest.exports).flatMap(([name, target]) =>
  typeof target === 'string' ? [] : [{ name: name.replace('.', 'koa-sqlassist'), ...target }],
)

/** What a stranger installs beside the package; those of this checkout, so that no registry is asked. */
const BESIDE = [
  ...Object.keys(manifest.peerDependencies),
  '@koa/bodyparser',
  '@koa/router',
  '@types/node',
  'koa-oldest',
  'pg',
]
const COMPILER = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')
const STRICT = ['--strict', '--noEmit', '--skipLibCheck', '--target', 'es2022', '--types', 'node']

let made: Stranger | undefined

export function stranger(): Stranger {
  return (made ??= make())
}

function make(): Stranger {
  const home = join(temporaryFolder(), 'stranger')
  mkdirSync(home)
  const run = (command: string, args: readonly string[], cwd = home): string => {
    try {
      return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string }
      throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`, { cause: error })
    }
  }
  // builds first, by the script `prepack`
  run('npm', ['pack', '--pack-destination', home], root)
  const tarball = join(home, readdirSync(home).find((file) => file.endsWith('.tgz')) ?? '')
  writeFileSync(join(home, 'package.json'), '{ "name": "stranger", "private": true, "type": "module" }')
  run('npm', ['install', '--offline', '--legacy-peer-deps', tarball])
  for (const name of BESIDE) link(home, name)
  return {
    home,
    installed: join(home, 'node_modules', 'koa-sqlassist'),
    tarball,
    run,
    evaluate: (module) => JSON.parse(run(process.execPath, ['--input-type=module', '--eval', module])),
    compile: (files, options = ['--module', 'nodenext']) =>
      run(process.execPath, [COMPILER, ...STRICT, ...options, ...files]),
    complaints(files, options) {
      const args = [COMPILER, ...STRICT, '--skipLibCheck', 'false', '--pretty', 'false', ...options, ...files]
      const { stdout } = spawnSync(process.execPath, args, { cwd: home, encoding: 'utf8' })
      // Other packages have mistakes of their own.
      return stdout
        .split('\n')
        .filter((line) => /^(?:node_modules\/koa-sqlassist\/|(?!node_modules\/|\.\.\/)\S+\().*\berror TS/.test(line))
    },
  }
}

function link(home: string, name: string): void {
  const path = join(home, 'node_modules', name)
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(join(root, 'node_modules', name), path)
}
