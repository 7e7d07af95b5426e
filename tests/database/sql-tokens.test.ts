import process from 'node:process'
import fc from 'fast-check'
import * as assert from 'uvu/assert'
import { SqlTokens, type SqlDialect, type SqlTokenKind } from '../../source/database/sql-tokens.ts'
import { statementKind } from '../../source/database/statement-kind.ts'
import { suite } from '../support/suite.ts'

const DIALECTS: readonly SqlDialect[] = ['postgresql', 'sqlite', 'any']
const PIECES =
  `' '' " "" \\ ; ( ) [ ] \` ? : :: @ # , . * / - -- /* */ /*/ $ $$ $a$ $a1$ $1 $1$ a$$ e' E' x' b' n' u&' u&" U& é ` +
  '\ufeff 0 1 1.5 .5 1e3 0xff 1_0 select from commit _a a1'
const SPACES = [' ', '\n', '\r', '\t', '\v', '\u00a0', '']

const seed = Number(process.env['FAST_CHECK_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
process.stdout.write(`fast-check seed ${seed}\n`)

const soup = fc.array(fc.constantFrom(...PIECES.split(' '), ...SPACES)).map((pieces) => pieces.join(''))
const dialects = fc.constantFrom(...DIALECTS)

const test = suite('the tokens of SQL')

function tokensOf(sql: string, dialect: SqlDialect): [SqlTokenKind, string][] {
  const tokens = new SqlTokens(sql, dialect)
  const found: [SqlTokenKind, string][] = []
  while (tokens.next()) found.push([tokens.kind, tokens.token])
  return found
}

/** The tokens that mean something, each as `kind:text`. */
function shown(sql: string, dialect: SqlDialect): string[] {
  return tokensOf(sql, dialect)
    .filter(([kind]) => kind !== 'space')
    .map(([kind, token]) => `${kind}:${token}`)
}

/** Where both have to agree, `both`. */
const CUT: readonly (readonly [dialect: SqlDialect | 'both', sql: string, tokens: readonly string[]])[] = [
  ['both', `'it''s' a`, [`string:'it''s'`, 'word:a']],
  ['both', `"a""b".c`, [`name:"a""b"`, 'sign:.', 'word:c']],
  ['both', `x'00' X'ff'`, [`string:x'00'`, `string:X'ff'`]],
  ['both', `ax'00'`, ['word:ax', `string:'00'`]],
  ['both', '1.5e-7+.5,0xFF', ['number:1.5e-7', 'sign:+', 'number:.5', 'sign:,', 'number:0xFF']],
  ['both', 'a1.b$2', ['word:a1', 'sign:.', 'word:b$2']],
  ['both', 'é\u00a0x', ['word:é\u00a0x']],
  ['both', '- -1', ['sign:-', 'sign:-', 'number:1']],
  ['both', '--a\nb', ['comment:--a', 'word:b']],
  ['both', '1*/*a*/2', ['number:1', 'sign:*', 'comment:/*a*/', 'number:2']],
  ['both', '/*/a*/b', ['comment:/*/a*/', 'word:b']],
  ['both', '?', ['parameter:?']],
  ['both', `'open`, [`string:'open`]],
  ['both', '/* open', ['comment:/* open']],
  ['both', '', []],
  ['postgresql', '--a\rb', ['comment:--a', 'word:b']],
  ['sqlite', '--a\rb', ['comment:--a\rb']],
  ['postgresql', '/*/*a*/;*/b', ['comment:/*/*a*/;*/', 'word:b']],
  ['sqlite', '/*/*a*/;*/b', ['comment:/*/*a*/', 'sign:;', 'sign:*', 'sign:/', 'word:b']],
  ['postgresql', `E'\\'' a`, [`string:E'\\''`, 'word:a']],
  ['sqlite', `E'\\'' a'`, ['word:E', `string:'\\'' a'`]],
  ['postgresql', `e'a'\n-- b\n '\\'' c`, [`string:e'a'\n-- b\n '\\''`, 'word:c']],
  ['postgresql', `e'a' '\\' c`, [`string:e'a'`, `string:'\\'`, 'word:c']],
  ['postgresql', `ne'\\' a`, ['word:ne', `string:'\\'`, 'word:a']],
  ['postgresql', `n'a' b'01'`, [`string:n'a'`, `string:b'01'`]],
  ['postgresql', `U&'\\0041''' u&"a"`, [`string:U&'\\0041'''`, 'name:u&"a"']],
  ['sqlite', `U&'a'`, ['word:U', 'sign:&', `string:'a'`]],
  ['postgresql', '$$a;$b$;$$ c', ['string:$$a;$b$;$$', 'word:c']],
  ['postgresql', '$b1$ $B1$ $b1$', ['string:$b1$ $B1$ $b1$']],
  ['postgresql', '$é$a$é$', ['string:$é$a$é$']],
  ['postgresql', 'a$$b;c$$', ['word:a$$b', 'sign:;', 'word:c$$']],
  ['postgresql', '$1$$a$$', ['parameter:$1', 'string:$$a$$']],
  ['postgresql', '$1 $ a', ['parameter:$1', 'sign:$', 'word:a']],
  ['postgresql', 'a[1:n]', ['word:a', 'sign:[', 'number:1', 'sign:\u003a', 'word:n', 'sign:]']],
  ['sqlite', '$a :b @c ?12 #d', ['parameter:$a', 'parameter::b', 'parameter:@c', 'parameter:?12', 'parameter:#d']],
  ['sqlite', `$a::b(';') c`, ['parameter:$a', 'sign::', `parameter::b(';')`, 'word:c']],
  ['sqlite', '[a;"b] `c``d`', ['name:[a;"b]', 'name:`c``d`']],
  ['sqlite', '\ufeffcommit', ['word:commit']],
  ['postgresql', '\ufeffcommit', ['word:\ufeffcommit']],
  ['postgresql', '`a', ['sign:`', 'word:a']],
  ['any', "`a'b` e'\\''", ["name:`a'b`", "string:e'\\''"]],
]

for (const [dialect, sql, tokens] of CUT) {
  test(`${dialect}: ${JSON.stringify(sql)}`, () => {
    for (const each of dialect === 'both' ? DIALECTS : [dialect]) assert.equal(shown(sql, each), tokens, each)
  })
}

test('joined, the tokens of any text are the text', () => {
  fc.assert(
    fc.property(fc.oneof(soup, fc.string({ unit: 'binary' })), dialects, (sql, dialect) => {
      const tokens = tokensOf(sql, dialect)
      assert.is(tokens.map(([, token]) => token).join(''), sql)
      assert.not(tokens.some(([, token]) => token === ''))
    }),
    { seed, numRuns: 2000 },
  )
})

test('the statements of any text are what stands between its semicolons outside of brackets', () => {
  fc.assert(
    fc.property(soup, dialects, (sql, dialect) => {
      const tokens = new SqlTokens(sql, dialect)
      const pieces: string[] = []
      while (tokens.nextStatement()) {
        let piece = ''
        while (tokens.nextOfStatement()) piece += tokens.token
        pieces.push(piece)
      }
      let depth = 0
      const expected = ['']
      for (const [kind, token] of tokensOf(sql, dialect)) {
        if (kind === 'space' || kind === 'comment') continue
        if (kind === 'sign') depth += Number(token === '(') - Number(token === ')')
        if (token !== ';' || depth > 0) expected.push(`${expected.pop()}${token}`)
        else {
          expected.push('')
          depth = 0
        }
      }
      assert.equal(pieces.filter(Boolean), expected.filter(Boolean))
    }),
    { seed, numRuns: 2000 },
  )
})

test('a comment of PostgreSQL ends where as many comments in it have ended as have begun', () => {
  const comment = fc.letrec<{ comment: string }>((tie) => ({
    comment: fc
      .array(fc.oneof({ maxDepth: 6 }, fc.constantFrom('a', "'", ';', '$$', '--', '\n', '*', '/ '), tie('comment')))
      .map((parts) => `/* ${parts.join(' ')} */`),
  })).comment
  fc.assert(
    fc.property(comment, (text) =>
      assert.equal(tokensOf(`${text};`, 'postgresql'), [
        ['comment', text],
        ['sign', ';'],
      ]),
    ),
    { seed },
  )
})

test('reading takes no longer than the text is long', () => {
  const pieces = ['x;', "''", `\\'`, '/*', '--\r', '$a ', '1', '(', 'select 1;', `e'a'\n`, `e'a' -- `, '$', '$a::', ' ']
  for (const piece of pieces) {
    const long = piece.repeat(2 ** 18 / piece.length)
    for (const dialect of DIALECTS) statementKind(`${long};select '${long}`, dialect)
  }
})

test('a text of 4 MB is no deeper than a short one', () => {
  for (const dialect of DIALECTS) {
    assert.is(statementKind(`select '${';'.repeat(2 ** 22)}'`, dialect), 'read')
    assert.is(statementKind(`select $${'a'.repeat(2 ** 22)}; commit`, dialect), 'control')
  }
})

test.run()
