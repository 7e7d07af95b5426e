/** Whose rules a text is read by. `any` suits an unknown database: PostgreSQL's rules, and SQLite's names in backticks. */
export type SqlDialect = 'postgresql' | 'sqlite' | 'any'

/** `name` is a quoted identifier, `string` any quoted literal, `sign` one character of an operator or of punctuation. */
export type SqlTokenKind = 'space' | 'comment' | 'string' | 'name' | 'word' | 'number' | 'parameter' | 'sign'

const code = (character: string): number => character.charCodeAt(0)
const [QUOTE, DOUBLE_QUOTE, BACKTICK, BACKSLASH] = [code("'"), code('"'), code('`'), code('\\')]
const [OPEN, CLOSE, BRACKET, SEMICOLON, DOT] = [code('('), code(')'), code('['), code(';'), code('.')]
const [MINUS, SLASH, STAR, DOLLAR, MARK, AMPERSAND] = [code('-'), code('/'), code('*'), code('$'), code('?'), code('&')]
const [LF, CR, BYTE_ORDER_MARK, FIRST_BEYOND_ASCII] = [code('\n'), code('\r'), 0xfeff, 0x80]

const [SPACE, DIGIT, LETTER] = [1, 2, 3]
/** What each ASCII character begins. All others are letters, in both databases. */
const CLASSES = Uint8Array.from({ length: FIRST_BEYOND_ASCII }, (_, ascii) => {
  const character = String.fromCharCode(ascii)
  if (/[ \t\n\v\f\r]/.test(character)) return SPACE
  if (/\d/.test(character)) return DIGIT
  return /[a-z_]/i.test(character) ? LETTER : 0
})

const NUMBER = /0[box][\da-f_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:e[+-]?\d+)?/iy
const DOLLAR_QUOTE = /\$(?:[a-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/iy
const COMMENT_BOUND = /\/\*|\*\//g
/** In SQLite, where brackets and double colons belong to the names of Tcl. */
const NAMED_PARAMETER = /[$@:#](?:::)*[\w$\u0080-\uffff]+(?:\([^\s)]*\))?/y

/**
 * Cuts a text of SQL into tokens, one a call, as the database does; joined, they are the text. An unfinished token reaches to
 * the end of the text. Strings are read with `standard_conforming_strings` on, PostgreSQL's default.
 */
export class SqlTokens {
  readonly text: string
  readonly dialect: SqlDialect
  kind: SqlTokenKind = 'space'
  start = 0
  end = 0
  #isInStatement = false
  /** How many brackets are open in this statement. */
  #depth = 0

  constructor(text: string, dialect: SqlDialect) {
    this.text = text
    this.dialect = dialect
  }

  /** The text of this token. */
  get token(): string {
    return this.text.slice(this.start, this.end)
  }

  /** This token, if it is a word: in small letters. Otherwise empty. */
  get word(): string {
    return this.kind === 'word' ? this.token.toLowerCase() : ''
  }

  get isAtEnd(): boolean {
    return this.end >= this.text.length
  }

  /** Whether this token is the sign `character`. */
  is(character: '(' | ')' | ',' | '.' | '*'): boolean {
    return this.kind === 'sign' && this.text.charCodeAt(this.start) === code(character)
  }

  /** Goes on to the next token. Returns false at the end of the text. */
  next(): boolean {
    if (this.isAtEnd) return false
    this.start = this.end
    this.#read(this.text.charCodeAt(this.start))
    return true
  }

  /** Goes on to the next token that means something. Returns false at the end of the text. */
  nextMeaning(): boolean {
    while (this.next()) if (this.kind !== 'space' && this.kind !== 'comment') return true
    return false
  }

  /** Goes on to the next statement, past the rest of this one. Returns false at the end of the text. */
  nextStatement(): boolean {
    if (this.#isInStatement && !this.text.includes(';', this.end)) this.end = this.text.length
    while (this.nextOfStatement());
    this.#depth = 0
    this.#isInStatement = !this.isAtEnd
    return this.#isInStatement
  }

  /** Goes on to the next token of this statement that means something. Returns false at the end of the statement. */
  nextOfStatement(): boolean {
    this.#isInStatement &&= this.nextMeaning() && !this.#isEndOfStatement()
    return this.#isInStatement
  }

  #isEndOfStatement(): boolean {
    if (this.kind !== 'sign') return false
    const sign = this.text.charCodeAt(this.start)
    if (sign === OPEN) this.#depth++
    else if (sign === CLOSE) this.#depth--
    // Inside of brackets a semicolon separates the commands of a rule.
    return sign === SEMICOLON && this.#depth <= 0
  }

  #read(first: number): void {
    const { text, start } = this
    const second = text.charCodeAt(start + 1)
    const begins = first < FIRST_BEYOND_ASCII ? CLASSES[first] : LETTER
    if (begins === LETTER) return this.#readLetter(first, second)
    if (begins === SPACE) return this.#endSpace()
    if (begins === DIGIT) return this.#match('number', NUMBER)
    if (first === QUOTE) return this.#endQuoted('string', "'", start + 1)
    if (first === DOUBLE_QUOTE) return this.#endQuoted('name', '"', start + 1)
    if (first === MINUS && second === MINUS) return this.#finish('comment', this.#endOfLine(start))
    if (first === SLASH && second === STAR) return this.#endComment()
    if (first === DOT && CLASSES[second] === DIGIT) return this.#match('number', NUMBER)
    if (first === MARK) return this.#finish('parameter', this.#endOfDigits())
    return this.#readOfDialect(first, second)
  }

  #readOfDialect(first: number, second: number): void {
    const isSqlite = this.dialect === 'sqlite'
    if (first === BACKTICK && this.dialect !== 'postgresql') return this.#endQuoted('name', '`', this.start + 1)
    if (first === DOLLAR && !isSqlite) return this.#readDollar(second)
    if (first === BRACKET && isSqlite) return this.#endAfter('name', ']', this.start)
    if (isSqlite && isMatch(NAMED_PARAMETER, this.text, this.start)) {
      return this.#finish('parameter', NAMED_PARAMETER.lastIndex)
    }
    return this.#finish('sign', this.start + 1)
  }

  /** A word, or the letter before a string that says what the string is. */
  #readLetter(first: number, second: number): void {
    const isSqlite = this.dialect === 'sqlite'
    if (first === BYTE_ORDER_MARK && isSqlite) return this.#finish('space', this.start + 1)
    if (second === QUOTE) {
      const letter = first | 0x20
      if (letter === code('e') && !isSqlite) return this.#finish('string', this.#endOfEscaped(this.start + 2))
      if (letter === code('x') || (!isSqlite && (letter === code('b') || letter === code('n')))) {
        return this.#endQuoted('string', "'", this.start + 2)
      }
    }
    if (second === AMPERSAND && (first | 0x20) === code('u') && !isSqlite) {
      const third = this.text.charCodeAt(this.start + 2)
      if (third === QUOTE) return this.#endQuoted('string', "'", this.start + 3)
      if (third === DOUBLE_QUOTE) return this.#endQuoted('name', '"', this.start + 3)
    }
    this.#endWord()
  }

  #endWord(): void {
    const { text } = this
    let at = this.start + 1
    for (; at < text.length; at++) {
      const character = text.charCodeAt(at)
      if (character < FIRST_BEYOND_ASCII && (CLASSES[character] ?? 0) < DIGIT && character !== DOLLAR) break
    }
    this.#finish('word', at)
  }

  #endSpace(): void {
    let at = this.start + 1
    while (CLASSES[this.text.charCodeAt(at)] === SPACE) at++
    this.#finish('space', at)
  }

  #endOfDigits(): number {
    let at = this.start + 1
    while (CLASSES[this.text.charCodeAt(at)] === DIGIT) at++
    return at
  }

  /** A placeholder or a string. Behind a word, a dollar belongs to the word. */
  #readDollar(second: number): void {
    if (CLASSES[second] === DIGIT) return this.#finish('parameter', this.#endOfDigits())
    if (!isMatch(DOLLAR_QUOTE, this.text, this.start)) return this.#finish('sign', this.start + 1)
    const inside = DOLLAR_QUOTE.lastIndex
    this.#endAfter('string', this.text.slice(this.start, inside), inside)
  }

  /** Up to the next `quote` that is not doubled. */
  #endQuoted(kind: SqlTokenKind, quote: string, inside: number): void {
    const { text } = this
    let at = text.indexOf(quote, inside)
    while (at >= 0 && text.charCodeAt(at + 1) === code(quote)) at = text.indexOf(quote, at + 2)
    this.#finish(kind, at < 0 ? text.length : at + 1)
  }

  #endAfter(kind: SqlTokenKind, closing: string, from: number): void {
    const at = this.text.indexOf(closing, from)
    this.#finish(kind, at < 0 ? this.text.length : at + closing.length)
  }

  /** Where a string with backslashes ends. Another one on a further line continues it. */
  #endOfEscaped(inside: number): number {
    const { text } = this
    let at = inside
    for (; at < text.length; at++) {
      const character = text.charCodeAt(at)
      if (character === BACKSLASH) at++
      else if (character === QUOTE) {
        const next = text.charCodeAt(at + 1) === QUOTE ? at + 1 : this.#continuation(at + 1)
        if (next < 0) return at + 1
        at = next
      }
    }
    return text.length
  }

  /** Where the quote is that continues a string, behind a line break and comments; -1 where none does. */
  #continuation(from: number): number {
    const { text } = this
    let hasLineBreak = false
    for (let at = from; at < text.length;) {
      const character = text.charCodeAt(at)
      if (character === QUOTE) return hasLineBreak ? at : -1
      if (character === MINUS && text.charCodeAt(at + 1) === MINUS) at = this.#endOfLine(at)
      else if (CLASSES[character] === SPACE) {
        if (character === LF || character === CR) hasLineBreak = true
        at++
      } else return -1
    }
    return -1
  }

  /** A carriage return ends a line for PostgreSQL, but not for SQLite. */
  #endOfLine(from: number): number {
    const { text } = this
    const alsoEnds = this.dialect === 'sqlite' ? LF : CR
    let at = from
    for (; at < text.length; at++) {
      const character = text.charCodeAt(at)
      if (character === LF || character === alsoEnds) break
    }
    return at
  }

  /** Comments of PostgreSQL hold comments, those of SQLite do not. */
  #endComment(): void {
    const inside = this.start + 2
    if (this.dialect === 'sqlite') return this.#endAfter('comment', '*/', inside)
    COMMENT_BOUND.lastIndex = inside
    for (let open = 1; open > 0;) {
      const bound = COMMENT_BOUND.exec(this.text)
      if (bound === null) return this.#finish('comment', this.text.length)
      open += bound[0] === '/*' ? 1 : -1
    }
    this.#finish('comment', COMMENT_BOUND.lastIndex)
  }

  #match(kind: SqlTokenKind, pattern: RegExp): void {
    isMatch(pattern, this.text, this.start)
    this.#finish(kind, pattern.lastIndex)
  }

  #finish(kind: SqlTokenKind, end: number): void {
    this.kind = kind
    this.end = Math.min(end, this.text.length)
  }
}

/** Whether `pattern`, which is sticky, matches at `at`; its `lastIndex` is then the end. */
function isMatch(pattern: RegExp, text: string, at: number): boolean {
  pattern.lastIndex = at
  return pattern.test(text)
}
