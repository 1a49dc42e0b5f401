/**
 * A refusal that a client is meant to understand: `{ "error": <sentence>, "code": <code> }` with `status`, and more facts where a client needs them.
 * Whatever else is thrown becomes a bare `500 internal`.
 */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly code: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    status: number,
    code: string | undefined,
    message: string,
    options: {
      readonly cause?: unknown
      readonly headers?: Record<string, string>
      readonly details?: Readonly<Record<string, unknown>>
    } = {},
  ) {
    super(message, { cause: options.cause })
    this.status = status
    this.code = code
    this.headers = options.headers ?? {}
    this.details = options.details ?? {}
  }

  toResponse(): Response {
    return Response.json({ error: this.message, code: this.code, ...this.details }, { status: this.status, headers: this.headers })
  }

  /** For OAuth clients: `error` is the code (RFC 6749 section 5.2). */
  toOAuthResponse(): Response {
    const body = { error: this.code, error_description: this.message, code: this.code }
    return Response.json(body, { status: this.status, headers: this.headers })
  }
}

/** Why a session ended, as the token endpoint tells it. */
export type EndReason = 'expired' | 'revoked' | 'reuse' | 'user_disabled' | 'user_deleted' | 'password_changed' | 'device_wiped'

/**
 * The token endpoint's refusal (RFC 6749 section 5.2). Only one *with* a code ends the client's session for a known reason;
 * without one the server does not know the session.
 */
export class InvalidGrant extends ApiError {
  constructor(code: EndReason | undefined, message: string) {
    super(400, code, message)
  }

  override toResponse(): Response {
    return Response.json({ error: 'invalid_grant', error_description: this.message, code: this.code }, { status: 400 })
  }

  override toOAuthResponse(): Response {
    return this.toResponse()
  }
}

export type BearerProblem = 'token_missing' | 'token_invalid' | 'token_expired' | 'session_revoked' | 'user_disabled' | 'user_deleted'

/** A 401 of everything but the token endpoint (RFC 6750 section 3). It never ends a session: the client refreshes and tries again. */
export class BearerRefused extends ApiError {
  constructor(code: BearerProblem, message: string) {
    const challenge = code === 'token_missing' ? 'Bearer' : 'Bearer error="invalid_token"'
    super(401, code, message, { headers: { 'WWW-Authenticate': challenge } })
  }
}

export const busy = (message: string, retryAfterS = 1, cause?: unknown) =>
  new ApiError(503, 'busy', message, { cause, headers: { 'Retry-After': String(retryAfterS) } })

export const invalidRequest = (message: string) => new ApiError(400, 'invalid_request', message)
