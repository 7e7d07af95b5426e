import { randomBytes } from 'node:crypto'
import { UnsecuredJWT } from 'jose'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { hashPassword, isPassword } from '../security/passwords.ts'
import { Tokens } from '../security/tokens.ts'

const passwords = suite('passwords')

passwords('one password has many hashes, and each of them knows it', async () => {
  const [first, second] = [await hashPassword('secret'), await hashPassword('secret')]
  assert.is.not(first, second)
  assert.ok(await isPassword('secret', first))
  assert.ok(await isPassword('secret', second))
  assert.not.ok(await isPassword('Secret', first))
})

passwords('nothing is the password of nobody', async () => {
  for (const hash of [undefined, '', 'scrypt$$', 'scrypt']) assert.not.ok(await isPassword('', hash))
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
