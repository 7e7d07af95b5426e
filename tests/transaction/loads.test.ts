/** What importing the core loads. */
import { execFile } from 'node:child_process'
import process from 'node:process'
import { promisify } from 'node:util'
import * as assert from 'uvu/assert'
import { suite } from '../support/suite.ts'

const test = suite('importing the core')

const core = new URL('../../source/transaction/', import.meta.url)

/** Every module that is resolved while a module is imported in a process of its own. */
async function loadedBy(specifier: string): Promise<string[]> {
  const script = `
    import { registerHooks } from 'node:module'
    const loaded = []
    registerHooks({
      resolve(specifier, context, next) {
        const resolved = next(specifier, context)
        loaded.push(resolved.url)
        return resolved
      },
    })
    await import(${JSON.stringify(specifier)})
    console.log(JSON.stringify(loaded))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: new URL('../../', import.meta.url),
  })
  return JSON.parse(stdout) as string[]
}

test('loads the files of the core and modules of node, and nothing else: neither koa nor MikroORM', async () => {
  const loaded = await loadedBy(new URL('index.ts', core).href)
  assert.ok(loaded.length > 20, `saw only ${loaded.length}`)
  assert.ok(loaded.includes(new URL('transaction-manager.ts', core).href))
  assert.equal(
    loaded.filter((url) => !url.startsWith(core.href) && !url.startsWith('node:')),
    [],
  )
})

test('the look at what is loaded sees a package', async () => {
  const loaded = await loadedBy('koa')
  assert.ok(loaded.some((url) => url.includes('/node_modules/koa/')))
})

test.run()
