import {
  TransactionEndedError,
  TransactionError,
  type TransactionErrorCode,
  TransientError,
} from '../../source/transaction/index.ts'

class ErrA extends Error {}
class ErrB extends Error {}
class ErrC extends Error {}
class TransientErr extends TransientError {}
class ConflictErr extends TransientErr {}

const injected = { ErrA, ErrB, ErrC, TransientErr, ConflictErr }

/** A new error of one of the classes that scenarios inject. */
export function makeError(className: string, message: string): Error {
  if (!Object.hasOwn(injected, className)) throw new UnknownInScenario(`the error class ${className}`)
  return new injected[className as keyof typeof injected](message)
}

/** The file asks for something that is not in the format. */
export class UnknownInScenario extends Error {
  constructor(what: string) {
    super(`${what} is not in the format`)
  }
}

/** What Zope calls the library's errors. Those without a label are refusals that Zope does not have. */
const labels: Partial<Record<TransactionErrorCode, string>> = {
  SQLASSIST_ALREADY_IN_TRANSACTION: 'AlreadyInTransaction',
  SQLASSIST_ATTEMPTS_COUNT: 'ValueError:count',
  SQLASSIST_DOOM_STATUS: 'ValueError:doom-status',
  SQLASSIST_FOREIGN_TRANSACTION: 'ValueError:foreign',
  SQLASSIST_INVALID_SAVEPOINT: 'InvalidSavepointRollbackError',
  SQLASSIST_JOIN_STATUS: 'ValueError:join-status',
  SQLASSIST_NO_DATA: 'KeyError:data',
  SQLASSIST_NO_TRANSACTION: 'NoTransaction',
  SQLASSIST_SAVEPOINT_UNSUPPORTED: 'TypeError:savepoint-unsupported',
  SQLASSIST_TRANSACTION_DOOMED: 'DoomedTransaction',
  SQLASSIST_TRANSACTION_FAILED: 'TransactionFailedError',
  SQLASSIST_UNKNOWN_SYNCHRONIZER: 'KeyError:synch',
  SQLASSIST_USER_NULL: 'ValueError:user-null',
}

/**
 * Where Zope, too, refuses a call on a transaction that has ended, and by which name: it goes by the status alone, which for
 * these calls comes to the same.
 */
const endedLabels: Readonly<Record<string, string>> = {
  'commit in Commit failed': 'TransactionFailedError',
  'commit in Doomed': 'DoomedTransaction',
  'doom in Commit failed': 'ValueError:doom-status',
  'doom in Committed': 'ValueError:doom-status',
  'join in Commit failed': 'TransactionFailedError',
  'join in Committed': 'ValueError:join-status',
  'savepoint in Commit failed': 'TransactionFailedError',
}

/** An error as a trace writes it, without `raise `: its class and, where there is one, its tag. */
export function labelOf(error: unknown): string {
  const own = Object.entries(injected).find(([, type]) => (error as object | undefined)?.constructor === type)
  if (own !== undefined) return `${own[0]}:${(error as Error).message}`
  if (error instanceof TransactionEndedError) {
    const label = endedLabels[`${error.operation} in ${error.status}`]
    if (label !== undefined) return label
  }
  if (error instanceof TransactionError) {
    const label = labels[error.code as TransactionErrorCode]
    if (label !== undefined) return label
  }
  return String(error)
}

/** The class of an error as a trace writes it. */
export function classOf(error: unknown): string {
  return labelOf(error).split(':', 1)[0] as string
}
