import { randomBytes } from 'node:crypto'
import { UnsecuredJWT } from 'jose'
import * as assert from 'uvu/assert'
import { suite } from '../../tests/support/suite.ts'
import { Passwords } from '../security/passwords.ts'
import { Tokens } from '../security/tokens.ts'

const passwords = suite('passwords')
const cheap = new Passwords(2 ** 10)

passwords('one password has many hashes, and each of them knows it', async () => {
  const [first, second] = [await cheap.hash('secret'), await cheap.hash('secret')]
  assert.is.not(first, second)
  assert.ok(await cheap.matches('secret', first))
  assert.ok(await cheap.matches('secret', second))
  assert.not.ok(await cheap.matches('Secret', first))
})

passwords('a hash stays good when passwords are to cost more, or less, from now on', async () => {
  const usual = new Passwords()
  assert.ok(await usual.matches('secret', await cheap.hash('secret')))
  assert.ok(await cheap.matches('secret', await usual.hash('secret')))
})

passwords('nothing is the password of nobody', async () => {
  for (const hash of [undefined, '', 'scrypt$$$', 'scrypt']) assert.not.ok(await cheap.matches('', hash))
})

passwords.run()

const tokens = suite('tokens')

tokens('a token is good for the one it was signed for, and only with the secret', async () => {
  const [ours, theirs] = [new Tokens(randomBytes(32)), new Tokens(randomBytes(32))]
  const token = await ours.sign('somebody')
  assert.is(await ours.verify(token), 'somebody')
  assert.is(await theirs.verify(token), undefined)
})

tokens('what is forged, unsigned or no token at all is nobody', async () => {
  const ours = new Tokens(randomBytes(32))
  const [header, , signature] = (await ours.sign('somebody')).split('.')
  const claims = Buffer.from(JSON.stringify({ sub: 'root' })).toString('base64url')
  const unsigned = new UnsecuredJWT({ sub: 'root' }).encode()
  for (const token of [`${header}.${claims}.${signature}`, unsigned, '', 'a.b.c', 'x'.repeat(100)]) {
    assert.is(await ours.verify(token), undefined)
  }
})

tokens.run()
