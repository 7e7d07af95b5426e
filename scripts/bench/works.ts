/** What a request may be asked to do. Each server answers at a path of the kind of work and its argument; all bodies are the same JSON. */
export const WORKS = ['none', 'read', 'read-in-transaction', 'write', 'read-write', 'two', 'fail'] as const
export type Work = (typeof WORKS)[number]

export interface WorkShape {
  readonly means: string
  readonly method: 'GET' | 'POST'
  readonly status: number
  /** The path's last part: the id of an article, or the label of the note to store. */
  readonly argument: 'article' | 'label'
}

export const SHAPES: Readonly<Record<Work, WorkShape>> = {
  none: { means: 'no database', method: 'GET', status: 200, argument: 'label' },
  read: { means: 'one row by primary key', method: 'GET', status: 200, argument: 'article' },
  'read-in-transaction': {
    means: 'the same in a transaction, as where a request might have written',
    method: 'GET',
    status: 200,
    argument: 'article',
  },
  write: { means: 'insert one row', method: 'POST', status: 201, argument: 'label' },
  'read-write': { means: 'read one row and update it', method: 'POST', status: 200, argument: 'article' },
  two: { means: 'insert one row in each of two databases', method: 'POST', status: 201, argument: 'label' },
  fail: { means: 'insert one row, then throw: rolled back', method: 'POST', status: 409, argument: 'label' },
}

/** How many articles there are to read and to update. */
export const ARTICLES = 1000

export const FAILURE = 'as asked for'
