/**
 * Ends an npm script on a Node that is too old, with one line; else better-sqlite3 would end it with a segmentation fault, or
 * the first .ts file with an unknown extension. Plain JavaScript, since the Node that reads it may know nothing else.
 *
 * 22.17 is what MikroORM needs; 22.18 (and 23.6) are the first to run TypeScript as it is, which the sources here are.
 */
import process from 'node:process'

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 18) || (major === 23 && minor < 6)) {
  process.stderr.write(
    `koa-sqlassist: Node ${process.versions.node} is too old to run this; Node 22.18 or newer is needed. ` +
      '`npm ci` puts Node 24 into node_modules, which `npm start` and `npm test` then use.\n',
  )
  process.exit(1)
}
