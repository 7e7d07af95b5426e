export type FieldErrors = Record<string, string[]>

/** An error that is meant for the client: its status, and what is wrong with which field. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly errors: FieldErrors

  constructor(status: number, errors: FieldErrors, options?: ErrorOptions) {
    const problems = Object.entries(errors).map(([field, messages]) => `${field} ${messages.join(', ')}`)
    super(problems.join('; '), options)
    this.status = status
    this.errors = errors
  }
}

export function notFound(what: string, options?: ErrorOptions): ApiError {
  return new ApiError(404, { [what]: ['not found'] }, options)
}

export function forbidden(what: string): ApiError {
  return new ApiError(403, { [what]: ['forbidden'] })
}

export function unauthorized(what: string, problem: string): ApiError {
  return new ApiError(401, { [what]: [problem] })
}

export function invalid(errors: FieldErrors, options?: ErrorOptions): ApiError {
  return new ApiError(422, errors, options)
}
