/** Prepares a template where a package is not installed: `node without-driver.ts <package> <url>`. Prints the error as JSON. */
import { registerHooks } from 'node:module'
import process from 'node:process'

const [missing = '', url = ''] = process.argv.slice(2)
registerHooks({
  // Node itself says that it is not there.
  resolve: (specifier, context, next) =>
    next(specifier, specifier === missing ? { ...context, parentURL: 'file:///nowhere/index.js' } : context),
})
const { prepareTemplate } = await import('../../../source/testing/index.ts')
try {
  await prepareTemplate({ url, key: 'one', migrate: () => undefined })
} catch (error) {
  process.stdout.write(JSON.stringify([(error as Error).name, (error as Error).message]))
}
