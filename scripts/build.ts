/**
 * Builds dist/: one ES module for each entry, with what entries share in chunks of its own, so that an error class is one
 * class whichever entry it comes from; source maps; and the declarations that the entries lead to, unless
 * `--javascript-only`. `--out <folder>` builds elsewhere. dist/development/ has the same with the statements under the label
 * DEBUG, which are dropped from the others.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { keepReachable } from './build/keep-reachable.ts'

const root = join(import.meta.dirname, '..')
const { values } = parseArgs({
  options: { 'javascript-only': { type: 'boolean' }, out: { type: 'string', default: join(root, 'dist') } },
})
const out = resolve(values.out)
const entries = ['index.ts', 'transaction/index.ts', 'debug/index.ts', 'testing/index.ts']
  .map((entry) => join('source', entry))
  .filter((entry) => existsSync(join(root, entry)))

await rm(out, { recursive: true, force: true })
await Promise.all([bundle(out, ['DEBUG']), bundle(join(out, 'development'), [])])

if (!values['javascript-only']) {
  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
  const { status } = spawnSync(process.execPath, [compiler, '--project', 'tsconfig.build.json', '--outDir', out], {
    cwd: root,
    stdio: 'inherit',
  })
  if (status !== 0) process.exit(1)
  keepReachable(
    out,
    entries.map((entry) => relative('source', entry).replace(/\.ts$/, '.d.ts')),
  )
}

async function bundle(outdir: string, dropLabels: string[]): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: entries,
    outbase: 'source',
    outdir,
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    packages: 'external',
    sourcemap: true,
    dropLabels,
    logLevel: 'warning',
  }).catch(() => process.exit(1)) // esbuild has said why
}
