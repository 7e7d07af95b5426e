import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import process from 'node:process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { transform } from 'esbuild'

/** What a run of tests or of a script came to. */
export interface Run {
  readonly passed: number
  readonly failed: number
  readonly code: number
  readonly output: string
}

interface Manifest {
  devDependencies: Record<string, string>
  overrides: Record<string, unknown>
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Copies of the project in a temporary folder, each with the packages of one row. */
export class Checkouts {
  readonly #folder: string
  #count = 0

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async open(): Promise<Checkouts> {
    // PostgreSQL, which does not run as root, gets into it.
    const folder = await mkdtemp(join(tmpdir(), 'koa-sqlassist-matrix-'))
    execFileSync('chmod', ['755', folder])
    return new Checkouts(folder)
  }

  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
  }

  /** Runs the tests of these rooms with these versions in place of those that package.json pins. */
  async test(
    packages: Readonly<Record<string, string>>,
    rooms: readonly string[],
    environment: NodeJS.ProcessEnv = {},
  ): Promise<Run> {
    const folder = await this.#with(packages)
    const parts = rooms.map((room) => `tests/${room}/`)
    const { output, code } = await run(folder, ['scripts/test.ts', ...parts], environment)
    const [, passed = '0', failed = '0'] = /^(\d+) passed, (\d+) failed$/m.exec(output) ?? []
    await rm(folder, { recursive: true, force: true })
    return { passed: Number(passed), failed: Number(failed), code, output }
  }

  /** Runs a script that prints a line for each thing that it finds right or wrong. */
  async script(path: string, args: readonly string[]): Promise<Run> {
    const { output, code } = await run(ROOT, [path, ...args], {})
    const count = (start: string): number => output.split('\n').filter((line) => line.startsWith(start)).length
    return { passed: count('ok '), failed: count('WRONG '), code, output }
  }

  async #with(packages: Readonly<Record<string, string>>): Promise<string> {
    const folder = join(this.#folder, String(++this.#count))
    const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
      cwd: ROOT,
      encoding: 'utf8',
    })
      .split('\0')
      .filter(Boolean)
    for (const file of files) {
      await mkdir(dirname(join(folder, file)), { recursive: true })
      await copyFile(join(ROOT, file), join(folder, file))
    }
    // As links, of which npm replaces what it changes, but for its own list.
    await copyTree(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
    const list = 'node_modules/.package-lock.json'
    await rm(join(folder, list))
    await copyFile(join(ROOT, list), join(folder, list))
    const isChanged = await pin(join(folder, 'package.json'), packages)
    // MikroORM's packages pin one another, and not all have the newest version.
    const args = ['install', '--legacy-peer-deps', '--no-audit', '--no-fund']
    if (isChanged) execFileSync('npm', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
    if (packages['node']?.startsWith('22.') === true) await compileUsing(folder, files)
    return folder
  }
}

/** As hard links, which lead to no other file system: there as files. */
async function copyTree(from: string, to: string): Promise<void> {
  try {
    execFileSync('cp', ['-al', from, to], { stdio: 'ignore' })
  } catch {
    await rm(to, { recursive: true, force: true })
    execFileSync('cp', ['-a', from, to], { stdio: 'ignore' })
  }
}

/** Writes what Node 22 does not know yet, `await using`, in words that it knows. */
async function compileUsing(folder: string, files: readonly string[]): Promise<void> {
  for (const file of files.filter((name) => name.endsWith('.ts'))) {
    const path = join(folder, file)
    const code = await readFile(path, 'utf8')
    if (!/^ *await using /m.test(code)) continue
    const compiled = await transform(code, { loader: 'ts', supported: { using: false }, tsconfigRaw: {} })
    await writeFile(path, compiled.code)
  }
}

/** Whether that is anything else than what is there. */
async function pin(file: string, packages: Readonly<Record<string, string>>): Promise<boolean> {
  const manifest = JSON.parse(await readFile(file, 'utf8')) as Manifest
  const changed = Object.entries(packages).filter(([name, version]) => manifest.devDependencies[name] !== version)
  for (const [name, version] of changed) {
    manifest.devDependencies[name] = version
    if (name.startsWith('@mikro-orm/')) manifest.overrides[name] = version
  }
  await writeFile(file, JSON.stringify(manifest, undefined, 2))
  return changed.length > 0
}

/** Runs a TypeScript file on the Node of that folder's packages. */
async function run(
  folder: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<{ output: string; code: number }> {
  const bin = join(folder, 'node_modules/.bin')
  // The oldest of Node 22 runs TypeScript only when it is asked to, and says each time that this is new.
  const env = {
    ...process.env,
    NODE_OPTIONS: '--experimental-strip-types --disable-warning=ExperimentalWarning',
    ...environment,
    PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}`,
  }
  const child = spawn(join(bin, 'node'), args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { output: `${out}\n${errors}`, code: (code as number | null) ?? 1 }
}
