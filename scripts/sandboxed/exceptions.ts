/** Tests that cannot pass in a sandbox, for one reason. */
export interface Exception {
  readonly file: string
  readonly reason: string
  /** Named as scripts/test.ts names them. */
  readonly tests: readonly string[]
}

const SAME_TIME = 'needs several transactions that are open at the same time; a sandbox has one after the other'
const ON_THE_WIRE = 'asserts what goes over the wire; a sandbox sends savepoints'
const HELD_COMMIT = 'holds COMMIT on the wire; a sandbox sends none'
const OUTSIDE = 'uses an ORM over SQLite outside of any request or run, and its one handle has the sandbox'

export const EXCEPTIONS: readonly Exception[] = [
  {
    file: 'tests/koa/disconnect.test.ts',
    reason: HELD_COMMIT,
    tests: [
      'a client that goes away › a commit that has begun is finished',
      'a client that goes away › no abort is reported for a client that leaves a handler whose own commit is under way',
    ],
  },
  {
    file: 'tests/koa/disconnect.test.ts',
    reason: 'needs every connection of its pool to be taken; all requests of a sandbox have one connection',
    tests: [
      'a client that goes away › a request that waits for a connection while its client goes away sends nothing with it',
    ],
  },
  {
    file: 'tests/koa/disconnect.test.ts',
    reason:
      'waits for a lock that a second connection has; a sandbox is one connection, which waits for no lock of its own',
    tests: [
      'a client that goes away › a request to cancel that comes late hits nobody: a read-only role gives its connection back only behind it',
    ],
  },
  {
    file: 'tests/koa/http2.test.ts',
    reason: SAME_TIME,
    tests: ['reset', 'close', 'disconnect'].map(
      (how) =>
        `HTTP/2 on postgresql › connections of a body streamed with readOnly: snapshot come back when clients leave (${how}) before the handler is done`,
    ),
  },
  {
    file: 'tests/koa/order.test.ts',
    reason: HELD_COMMIT,
    tests: ['what comes first › the client has nothing of the answer before the commit is done'],
  },
  {
    file: 'tests/koa/retry.test.ts',
    reason: SAME_TIME,
    tests: [
      'a request that is run again › a conflict at commit is run again, in a new transaction, and both clients get 200',
      'a request that is run again › a deadlock is run again',
      'a request that is run again › after-commit hooks of an attempt that failed to commit ran with false, abort hooks of every failed one ran',
    ],
  },
  {
    file: 'tests/koa/round-trips.test.ts',
    reason: ON_THE_WIRE,
    tests: [
      'a read on a read-only role: one, with the READ ONLY transaction around it',
      `a read of Kysely's with parameters on a read-only role: the same`,
      'a read with a semicolon on a read-only role: the same',
      'a read on a joined role: one, and the ROLLBACK',
      'a write: two',
      'a read and a write: three',
      `a statement of Kysely's with parameters: BEGIN goes with it`,
      'a nested transaction: BEGIN goes with its savepoint',
      'two databases: PREPARE, decision with COMMIT, and COMMIT PREPARED beyond the work',
      'one that changed among two: two',
    ].map((title) => `round trips of a request to PostgreSQL › ${title}`),
  },
  {
    file: 'tests/koa/statements.test.ts',
    reason: ON_THE_WIRE,
    tests: [
      'a row that was only persisted: begin, insert, commit, and nothing else',
      'a session that only read is rolled back, never committed',
      'a read on a read-only role has a transaction of its own, to which the server keeps it',
      'six first statements at once begin one transaction on one connection',
    ].map((title) => `what is sent to PostgreSQL › ${title}`),
  },
  {
    file: 'tests/koa/statements.test.ts',
    reason: 'counts the forks of its ORM and the connections; a sandbox makes one of each for itself',
    tests: [
      'what is sent to PostgreSQL › a request that opens no session makes no fork, takes no connection and sends nothing',
    ],
  },
  {
    file: 'tests/koa/streams.test.ts',
    reason: OUTSIDE,
    tests: [
      'every row arrives, and the connection is back when the stream ends',
      'a stream that fails half way gives its connection back, and its error reaches the app',
      'a client that goes away half way gives the connection back',
      'a client that does not read holds the stream up: no more of it is in memory than the network takes',
      'a HEAD request, whose body nobody reads, leaves nothing open',
      'the writer has committed before the first byte of the body leaves',
    ].map((title) => `a streamed body from a role with readOnly: true on sqlite › ${title}`),
  },
]
