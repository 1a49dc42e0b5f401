import type { JsonObject } from '../database/schema.ts'

/** Decisions and functions that an app brings in code. */
export interface AccountHooks {
  /** Callable by users as `user.functions.<name>(…)`. What they return must be JSON. */
  readonly functions?: Readonly<Record<string, UserFunction>>
  /** The provider `function`: who the payload proves somebody to be; `null` refuses. */
  logIn?(payload: unknown): Promise<FunctionIdentity | null> | FunctionIdentity | null
  /** With `confirmation: "function"`, at registration and when the app retries. `pending`: the token is good until it expires. */
  confirm?(request: MailFlowRequest): Promise<MailFlowDecision> | MailFlowDecision
  /** Answers `callResetPasswordFunction`. `success` sets the password; `pending` keeps it for nobody: the token completes the reset. */
  resetPassword?(request: MailFlowRequest, ...args: readonly unknown[]): Promise<MailFlowDecision> | MailFlowDecision
  /** Whether a password is known to be public, besides the built-in list of common ones. An error counts as "not known". */
  isBreached?(password: string): Promise<boolean> | boolean
}

export interface FunctionIdentity {
  /** The same for the same person, for ever. */
  readonly subject: string
  readonly profile?: JsonObject
}

export interface MailFlowRequest {
  readonly email: string
  readonly token: string
  readonly tokenId: string
}

export type MailFlowDecision = 'success' | 'pending' | 'fail'

export type UserFunction = (context: FunctionContext, ...args: readonly unknown[]) => unknown

/** What a function may do, always as the user who called it. Every call sees the session as it is then: after a revocation it fails. */
export interface FunctionContext {
  readonly user: {
    readonly id: string
    readonly identities: readonly { readonly id: string; readonly provider: string }[]
    readonly profile: JsonObject
  }
  readonly customData: {
    read(): Promise<JsonObject>
    /** Replaces it. */
    write(customData: JsonObject): Promise<void>
  }
  /** @param scope `mine` (default), `public` or `team:<id>`, under the same rules as the user's own sync */
  collection(name: string, scope?: string): FunctionCollection
  /** Aborted when the function has taken too long; the caller has its answer by then. */
  readonly signal: AbortSignal
}

export interface FunctionCollection {
  /** `undefined` where there is none, or it was deleted. */
  get(id: string): Promise<JsonObject | undefined>
  /** All of them, at most 1,000, in the order of their last change. */
  list(): Promise<readonly JsonObject[]>
  /** Inserts or replaces. @throws {FunctionRefusal} with the code of the refused row */
  put(document: JsonObject): Promise<void>
  delete(id: string): Promise<void>
}

/** Thrown by a function, its sentence and code reach the caller; of any other error the caller learns nothing. */
export class FunctionRefusal extends Error {
  override readonly name = 'FunctionRefusal'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}
